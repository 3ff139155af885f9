"""What kind of action a planned command is: tool, family, destructiveness, and a signature for its cases.

A signature is tool + normalised command + preconditions, so that one command in two circumstances is two
cases, and one command with two file names in scratch folders is one.
"""

import re
import shlex
from collections.abc import Mapping

DESTRUCTIVE = re.compile(
    r"(^|[\s;&|])(rm|rmdir|dd|mkfs|shred|truncate|drop|delete|destroy|purge|kill|killall|prune|wipe|format)\b"
    r"|--force\b|--hard\b",
    re.IGNORECASE,
)
_PUSH, _FORCED = re.compile(r"\bpush\b", re.IGNORECASE), re.compile(r"\s-[a-z]*f\b", re.IGNORECASE)
FAMILIES = {
    "version control": {"git", "hg", "svn", "jj"},
    "package manager": {"pip", "pip3", "npm", "pnpm", "yarn", "apt", "apt-get", "cargo", "brew", "uv", "poetry", "gem"},
    "interpreter": {"python", "python3", "node", "ruby", "perl", "bash", "sh", "java", "deno", "php"},
    "build and test": {"make", "cmake", "gcc", "g++", "cc", "clang", "go", "mvn", "gradle", "pytest", "tox", "ninja"},
    "cluster": {"kubectl", "helm", "docker", "podman", "terraform", "aws", "gcloud", "az", "ansible"},
    "database": {"sqlite3", "psql", "mysql", "mongo", "redis-cli"},
    "network": {"curl", "wget", "ssh", "scp", "rsync", "nc", "ping"},
    "files": {
        "ls",
        "cat",
        "cp",
        "mv",
        "rm",
        "mkdir",
        "rmdir",
        "touch",
        "chmod",
        "chown",
        "tar",
        "zip",
        "unzip",
        "find",
    },
    "text": {"grep", "sed", "awk", "jq", "sort", "head", "tail", "diff", "wc"},
}
_FAMILY = {tool: family for family, tools in FAMILIES.items() for tool in tools}
_WRAPPERS = {"sudo", "env", "time", "nohup", "command", "exec"}
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
_CHANGING = (
    (re.compile(r"https?://\S+"), "<url>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "<uuid>"),
    (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{7,64}\b"), "<hex>"),
    (re.compile(r"(?<![\w.])/(?:[^\s/]+/)*([^\s/]*)"), r"<path>/\1"),
    (re.compile(r"\b\d+(\.\d+)*\b"), "<n>"),
)
MAX_PRECONDITIONS = 12
MAX_SIGNATURE = 400


def tool_of(command: str, named: str | None = None) -> str:
    """The program a command runs, or the tool the caller named.

    >>> tool_of("cd src && FOO=1 sudo /usr/bin/git push")
    'git'
    """
    if named:
        return named.strip().lower()[:40]
    for part in re.split(r"&&|\|\||[;|]", command):
        for word in part.split():
            program = word.rsplit("/", 1)[-1]
            if program == "cd":
                break
            if program not in _WRAPPERS and not _ASSIGNMENT.match(word):
                return program.lower()[:40]
    return ""


def family_of(tool: str) -> str:
    """The tool's family; an unknown tool is `other`."""
    return _FAMILY.get(tool, "other")


def is_destructive(command: str) -> bool:
    """Whether the command removes or overwrites what it names."""
    if DESTRUCTIVE.search(command):
        return True
    return any(_PUSH.search(line) and _FORCED.search(line) for line in command.splitlines())


def normalise(text: str) -> str:
    """The text with what changes from run to run replaced by its kind.

    >>> normalise("tar xf /tmp/a81f/build.tar -C /srv/42  &&  sleep 3")
    'tar xf <path>/build.tar -C <path>/<n> && sleep <n>'
    """
    for pattern, kind in _CHANGING:
        text = pattern.sub(kind, text)
    return " ".join(text.split())


def signature(tool: str, command: str, preconditions: Mapping[str, object]) -> str:
    """tool | normalised command | preconditions, sorted and bounded."""
    try:
        words = shlex.split(command)
    except ValueError:  # unbalanced quotes: not a shell command, so its text is taken as it is
        words = command.split()
    conditions = sorted(f"{key}={normalise(str(value))}" for key, value in preconditions.items())[:MAX_PRECONDITIONS]
    return " | ".join((tool, normalise(" ".join(words)), "; ".join(conditions)))[:MAX_SIGNATURE]
