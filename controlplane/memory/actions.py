"""What kind of action a planned command is: tool, family, destructiveness, and a signature for its cases.

A signature is tool + normalised command, so that one command with two file names in scratch folders is one
case; the conditions it runs under are kept beside it.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from ..masking import without_secrets

DESTRUCTIVE = re.compile(
    r"(?:^|[\s;&|(/\"'`])(?:rm|rmdir|dd|mkfs(?:\.\w{1,8})?|shred|truncate|drop|delete|destroy|purge|kill|killall|prune"
    r"|wipe)(?=[\s;&|)]|$)|--force\b|--hard\b|\s-delete\b|\bclean\s+-[a-z]*f|(?:^|[\s;&|])format\s+[a-z]:",
    re.IGNORECASE,
)
_PUSH, _FORCED = re.compile(r"\bpush\b", re.IGNORECASE), re.compile(r"\s-[a-z]*f\b", re.IGNORECASE)
_FAMILIES = {
    "version control": "git hg svn jj gh glab",
    "package manager": "pip npm pnpm yarn npx apt apt-get dpkg dnf yum apk pacman cargo brew uv poetry pipenv pipx gem"
    " bundle composer conda mamba nuget",
    "interpreter": "python ipython node ruby perl bash sh zsh dash java deno bun php lua julia rscript",
    "build and test": "make cmake gcc g++ cc clang clang++ rustc javac tsc go mvn gradle bazel meson ninja ctest dotnet"
    " pytest unittest tox nox jest vitest mocha rspec phpunit eslint prettier ruff flake8 pylint black mypy pre-commit"
    " webpack vite sphinx-build sphinx mkdocs",
    "cluster": "kubectl helm docker docker-compose podman terraform tofu pulumi aws gcloud az ansible ansible-playbook"
    " vagrant nomad",
    "database": "sqlite3 psql mysql mariadb mongo mongosh redis-cli duckdb sql",
    "network": "curl wget ssh scp sftp ftp rsync nc ping dig nslookup host telnet traceroute",
    "files": "ls cat cp mv rm mkdir rmdir touch chmod chown ln tar zip unzip gzip gunzip xz find stat file du df tree"
    " dd tee patch pwd cd realpath readlink install mktemp",
    "text": "grep egrep fgrep rg ag sed awk jq yq sort uniq cut tr head tail nl less more diff cmp comm paste column wc"
    " xxd od strings echo printf xargs base64 iconv md5sum sha256sum",
    "system": "ps kill pkill killall top lsof systemctl service journalctl crontab id whoami uname date env printenv"
    " which type ulimit mount umount free",
}
_FAMILY = {tool: family for family, tools in _FAMILIES.items() for tool in tools.split()}
_SCRIPT = re.compile(r"\.(?:py|sh|bash|rb|js|mjs|ts|pl|php|lua|r)$")
_VERSION = re.compile(r"[-\d.]+$")

# How a command line is read: words and what ends a simple command. Nothing is tried twice, however it is quoted.
_TOKEN = re.compile(
    r"(?P<skip>[ \t\r]+|\\\n|(?<!\S)\#[^\n]*)"
    r"|(?P<word>(?:[^\s;&|()'\"\\$]+|\$\([^()\n]{0,200}\)|\$|\\.|'[^']*'|\"(?:[^\"\\]|\\.)*\"|(?<=[<>])&|&(?=>))+)"
    r"|(?P<end>&&|\|\||[;|&\n()])|(?P<stray>.)",
    re.DOTALL,
)
_HEREDOC = re.compile(r"(?<!<)<<-?\s*['\"\\]?(\w{1,40})")
_INTO_FILE = re.compile(r"(?<![\d&])>(?!&)|\btee\b")
_NAME = re.compile(r"[\w.][\w.+@-]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_NO_PROGRAM = re.compile(r"-|\d*[<>]|\d+(?:\.\d+)?[smhd]?$|[{}!]|(?:if|then|else|elif|do|while|until|fi|done|esac)$")
_WRAPPERS = {"sudo", "doas", "env", "time", "nohup", "command", "exec", "timeout", "nice", "stdbuf", "npx"}
_VALUED = {"-u", "-g"}  # options of wrappers that take a word
_PREPARES = {
    *("cd", "pushd", "popd", "export", "set", "unset", "source", ".", "alias", "shopt", "trap", "ulimit", "umask"),
    *(":", "true", "wait", "sleep", "echo", "printf", "mkdir", "touch", "chmod", "for", "case", "test"),
}
_RUNNERS = {"uv run", "poetry run", "pipenv run", "pdm run", "hatch run", "bundle exec", "conda run", "pnpm exec"}
_PYTHON, _SHELL = re.compile(r"python[\d.]*$"), re.compile(r"(?:ba|z|da|k)?sh$")
_SQL = re.compile(
    r"(?:select|insert\s+into|replace\s+into|update\s+\S+\s+set|delete\s+from|truncate\s+table|pragma\s|explain\s"
    r"|(?:create|drop|alter)\s+(?:\w+\s+){0,2}(?:table|view|index|database|schema)|with\s+\w+\s+as\s*\("
    r"|show\s+(?:tables|databases|columns|create)|desc(?:ribe)?\s+[\w.`]+\s*;?\s*$)\b",
    re.IGNORECASE,
)

# What changes from run to run, each replaced by its kind. The end of a path, a version and a host are kept: they
# make another command of it.
_URL = re.compile(r"https?://[^\s'\"]*")
_UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_TIME = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:[.,]\d{1,9})?(?:Z\b|[+-]\d\d:?\d\d\b)?")
_HEX = re.compile(r"\b0x[0-9a-f]+\b|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,64}\b")
_PATH = re.compile(r"(?<![^\s'\"=(<>:,])(?:/[^\s/'\":;,|()<>]+){2,}")
_NUMBER = re.compile(r"(?<![\w@])(?<!\w\.)(?<![=~<>!]=)(?!(?<=\w:)\d+\.)\d+(?:\.\d+)*(?=[a-zA-Z]{0,2}\b)")
_QUOTED = re.compile(r"(?<!\S)(['\"])([\w./:@=+-]+)\1(?!\S)")
_BARE = r"\2"
_TEMPORARY = {"tmp", "temp", "shm", "folders"}

MAX_READ = 4_000  # of a command, here-documents not counted: enough to name its program
MAX_CONDITIONS, MAX_CONDITION = 12, 120
MAX_SIGNATURE = 400
CACHED, MAX_CACHED = 20_000, 2_000  # normal forms that are kept, of texts up to this length


def tool_of(command: str, named: str | None = None) -> str:
    """The program a command is there to run, or the tool the caller named; preparation counts when it is all.

    >>> tool_of("cd src && FOO=1 sudo /usr/bin/git push"), tool_of("python - <<EOF\\nimport git\\nEOF")
    ('git', 'python')
    >>> tool_of("mkdir -p out; timeout 60 python3 -m pytest -q"), tool_of("cd src")
    ('pytest', 'cd')
    """
    if named:
        return named.strip().lower()[:40]
    if _SQL.match(command.lstrip()):
        return "sql"
    first = ""
    for words in _simple_commands(_without_documents(command)[0][:MAX_READ]):
        program, *arguments = _from_program(words) or ("",)
        tool = _run_by(program, arguments)
        if tool and not _prepares(program, arguments):
            return tool
        first = first or tool
    return first


def family_of(tool: str) -> str:
    """The tool's family; an unknown tool is `other`."""
    if _SCRIPT.search(tool):
        return "interpreter"
    return _FAMILY.get(tool) or _FAMILY.get(_VERSION.sub("", tool), "other")


def is_destructive(command: str) -> bool:
    """Whether the command removes or overwrites what it names; what it writes into a file is not run."""
    script, read, _ = _without_documents(command)
    if DESTRUCTIVE.search(script) or DESTRUCTIVE.search(read):
        return True
    return any(_PUSH.search(line) and _FORCED.search(line) for line in script.splitlines())


def normalise(text: str) -> str:
    """The text with what changes from run to run replaced by its kind.

    >>> normalise("tar xf /tmp/a81f/build.tar -C /srv/42  &&  sleep 3")
    'tar xf <tmp>/build.tar -C /srv/<n> && sleep <n>'
    """
    return (_normalised if len(text) <= MAX_CACHED else _normalised.__wrapped__)(text)


@lru_cache(CACHED)
def _normalised(text: str) -> str:
    text = _UUID.sub("<uuid>", _URL.sub(lambda url: url.group().partition("?")[0], text))
    text = _PATH.sub(_place, _HEX.sub("<hex>", _TIME.sub("<time>", text)))
    text = _NUMBER.sub("<n>", text)
    return " ".join(text.split())


def _place(path: re.Match[str]) -> str:
    """A path without what leads to it on this machine."""
    parts = path.group().split("/")[1:]
    if not _TEMPORARY.isdisjoint(parts[:-1]):
        return f"<tmp>/{parts[-1]}"
    if parts[0] in ("home", "Users"):
        parts = ["~", *parts[2:]]
    return "/".join(["<path>", *parts[-2:]]) if len(parts) > 2 else "/".join(parts if parts[0] == "~" else ["", *parts])


def signature(tool: str, command: str) -> str:
    """tool | normalised command, bounded; a longer one keeps its start and a digest of the whole.

    What a here-document holds is content: with another number in it, it is another.

    >>> signature("git", "git push origin 'main'")
    'git | git push origin main'
    """
    return (_signature if len(command) <= MAX_CACHED else _signature.__wrapped__)(tool, command)


@lru_cache(CACHED)
def _signature(tool: str, command: str) -> str:
    command = without_secrets(command)  # so that it is one action whatever its password, and none is kept
    script, *documents = _without_documents(command)
    if not _SQL.match(script.lstrip()):  # where quotes make a text of a name
        script = _QUOTED.sub(_BARE, script)
    text = " ".join((tool, "|", normalise(script), *" ".join(documents).split()))
    if len(text) <= MAX_SIGNATURE:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{text[: MAX_SIGNATURE - len(digest) - 1]}#{digest}"


@lru_cache(CACHED)
def signature_of(command: str) -> str:
    """What an action is known by when nobody named its tool."""
    return signature(tool_of(command), command)


def conditions_of(environment: Mapping[str, object]) -> tuple[str, ...]:
    """`key=value` of everything an action is to run under, normalised, sorted and bounded."""
    pairs = (f"{key}={normalise(str(value))}"[:MAX_CONDITION] for key, value in environment.items())
    return tuple(sorted(pairs)[:MAX_CONDITIONS])


def _without_documents(command: str) -> tuple[str, str, str]:
    """The command without the bodies of its here-documents; those that programs read; those written to files."""
    if "<<" not in command:
        return command, "", ""
    script, read, written = list[str](), list[str](), list[str]()
    end, body = "", read
    for line in command.splitlines():
        if end:
            end = "" if line.strip() == end else end
            body += [line] if end else []
            continue
        script.append(line)
        if opened := _HEREDOC.search(line):
            end, body = opened.group(1), written if _INTO_FILE.search(line) else read
    return "\n".join(script), "\n".join(read), "\n".join(written)


def _simple_commands(script: str) -> Iterator[list[str]]:
    words = list[str]()
    for token in _TOKEN.finditer(script):
        if token.lastgroup == "word":
            words.append(token.group())
        elif token.lastgroup == "end" and words:
            yield words
            words = []
    yield words


def _from_program(words: list[str]) -> list[str]:
    """The words from the program on: without assignments, redirections, and what only runs another program."""
    rest, wrapped = iter(words), False
    for word in rest:
        bare = word.strip("'\"`")
        if wrapped and bare in _VALUED:
            next(rest, None)
        elif bare and not _NO_PROGRAM.match(bare) and not _ASSIGNMENT.match(bare):
            named = _NAME.search(bare.split()[0].rsplit("/", 1)[-1])
            if named is None or named.group() not in _WRAPPERS:
                return [named.group(), *rest] if named else []
            wrapped = True
    return []


def _run_by(program: str, arguments: list[str]) -> str:
    """The tool that does the work: a module, the command of a shell or a runner, else the program itself."""
    if _PYTHON.match(program) and "-m" in arguments[:-1]:
        module = arguments[arguments.index("-m") + 1].partition(".")[0]
        return module if module in _FAMILY else program
    flag = next((i for i, word in enumerate(arguments[:-1]) if re.fullmatch(r"-\w*c", word)), None)
    if _SHELL.match(program) and flag is not None:
        return tool_of(arguments[flag + 1].strip("'\"")[:MAX_READ])
    if arguments and f"{program} {arguments[0]}" in _RUNNERS:
        return next(iter(_from_program(["env", *arguments[1:]])), program).lower()[:40]
    return program.lower()[:40]


def _prepares(program: str, arguments: list[str]) -> bool:
    """Whether it only sets the stage: changes folders and variables, says something, writes a file it was handed."""
    handed = program == "cat" and any(word.startswith("<<") for word in arguments)
    return program in _PREPARES or (handed and any(word.startswith(">") for word in arguments))
