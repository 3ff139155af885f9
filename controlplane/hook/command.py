"""Shell commands as text: which program runs, whether a failure is what was asked for, whether one solves another.

Lessons are only as good as these judgements, so they would rather miss a solution than note a wrong one.
"""

import re
import shlex
from collections.abc import Sequence

# Checks, and the exit codes that are their answer: they ran, and they found something.
CHECKS = {
    **dict.fromkeys((
        "[", "black", "cmp", "diff", "eslint", "flake8", "grep", "jest", "mypy", "prettier", "pytest", "rg", "ruff",
        "shellcheck", "test", "tox", "unittest", "vitest",
    ), (1,)),
    "tsc": (1, 2),
    "ctest": (8,),
}  # fmt: skip
# The same for what is run through something else. Its code does not tell a check that failed from one that never ran.
LAUNCHED = {
    **dict.fromkeys(("cargo build", "cargo check", "cargo clippy", "cargo test"), (101,)),
    **dict.fromkeys(("go test", "go vet"), (1,)),
    **{f"{tool} {errand}": (1,) for tool in ("npm", "pnpm", "yarn") for errand in ("test", "run test", "run lint")},
}
_NEVER_RAN = re.compile(
    r"missing script|no_script|no test specified|command \S+ not found|no such .{0,3}command"
    r"|could not find .{0,3}cargo\.toml|no matching package"
    r"|linker .{1,40} not found|no required module|go\.mod file not found|cannot find main module",
    re.IGNORECASE,
)
# What a repair must not bring in: it would teach to force.
FORCING = {"sudo", "doas", "rm", "-f", "-rf", "-fr", "--hard", "--no-verify", "--privileged"}
ALIKE = 0.75
MAX_COMMAND = 1000  # longer ones are scripts: nothing is concluded from how they look

_WRAPPERS = {"sudo", "doas", "env", "time", "nohup", "command", "exec", "npx", "uv", "poetry", "pipenv", "run"}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_QUIET = re.compile(r"\s*(?:\d?>&\d|&?\d?>{1,2}\s*/dev/null)")
_EXIT_CODE = re.compile(r"\s*exit code (\d+)[ \t]*(?:\r?\n|$)", re.IGNORECASE)
_MISSING = re.compile(
    r"not found|missing|no such|no module|no matching|did not match|unknown|cannot find|can't find|could not find"
    r"|does not exist|doesn't exist|not a |unrecogni[sz]ed|invalid choice",
    re.IGNORECASE,
)


def program(command: str) -> str:
    """The first program that is run, by its name.

    >>> program("cd src && FOO=1 /usr/bin/git push")
    'git'
    """
    return next((name for name, _ in _calls(command) if name != "cd"), "")


def _calls(command: str) -> list[tuple[str, list[str]]]:
    """Every (program, its arguments) of a line, in order, whatever stands between them."""
    parts: list[list[str]] = [[]]
    quoted = "'" in command or '"' in command
    for word in _words(command if quoted else command.replace("\n", " ; ")):
        if _is_operator(word):
            parts.append([])
        else:
            parts[-1].append(word)
    return [_split(part) for part in parts if part]


def _words(command: str) -> list[str]:
    """As a shell would read them; none where quotes are unbalanced."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return list(lexer)
    except ValueError:
        return []


def _is_operator(word: str) -> bool:
    return bool(word) and set(word) <= set("|&;<>()")


def _split(words: Sequence[str]) -> tuple[str, list[str]]:
    """(program, its arguments); a module that Python runs is the program."""
    rest = list(words)
    while rest and (_ASSIGNMENT.match(rest[0]) or rest[0] in _WRAPPERS):
        rest.pop(0)
    if len(rest) > 2 and rest[0].rpartition("/")[2].startswith("python") and rest[1] == "-m":
        rest = rest[2:]
    return (rest[0].rpartition("/")[2], rest[1:]) if rest else ("", [])


def is_finding(command: str, error: str) -> bool:
    """Whether a failure is a check's answer: it ran as planned and found what it was to look for.

    >>> is_finding("cd api && python -m pytest -q", "Exit code 1\\n1 failed")
    True
    """
    found = _EXIT_CODE.match(error)
    return found is not None and any(int(found[1]) in _findings(call, error) for call in _calls(command))


def _findings(call: tuple[str, list[str]], error: str) -> tuple[int, ...]:
    """The exit codes with which this call says that it found something."""
    name, arguments = call
    errand = [word for word in arguments if not word.startswith(("-", "+"))]
    launched = LAUNCHED.get(" ".join([name, *errand[:1]])) or LAUNCHED.get(" ".join([name, *errand[:2]])) or ()
    return CHECKS.get(name) or (() if _NEVER_RAN.search(error) else launched)


def solves(later: str, failed: str, error: str) -> bool:
    """Whether a command that worked is the failed one, mended.

    It runs the same programs on the same things, possibly after some preparation; a thing may have changed only
    where the error says that it was not there. Nothing in it hides a failure, and it forces nothing.

    >>> solves("git push --set-upstream origin HEAD", "git push", "no upstream branch")
    True
    >>> solves("git push --force", "git push", "rejected")
    False
    >>> solves("pytest tests/b.py", "pytest tests/a.py", "1 failed")
    False
    """
    mended, broken = _chain(later), _chain(failed)
    if not mended or not broken or mended == broken or _forced(mended, broken):
        return False
    mended, broken = _without_cd(mended), _without_cd(broken)
    pairs = zip(mended[len(mended) - len(broken) :], broken, strict=False)
    return 0 < len(broken) <= len(mended) and all(_same_errand(new, old, error) for new, old in pairs)


def _chain(command: str) -> list[list[str]]:
    """The commands of an `a && b` chain, as words; none where a part could fail and the whole succeed."""
    plain = _QUIET.sub("", command.strip())
    if len(plain) > MAX_COMMAND or any(sign in plain for sign in ("\n", "`", "$(")):
        return []
    parts: list[list[str]] = [[]]
    for word in _words(plain):
        if word == "&&":
            parts.append([])
        elif _is_operator(word):
            return []
        else:
            parts[-1].append(word)
    return parts if all(parts) else []


def _without_cd(chain: list[list[str]]) -> list[list[str]]:
    return [part for part in chain if part[0] != "cd"]


def _forced(mended: list[list[str]], broken: list[list[str]]) -> bool:
    new = {word for part in mended for word in part} - {word for part in broken for word in part}
    return any(word in FORCING or word.startswith("--force") for word in new)


def _same_errand(new: list[str], old: list[str], error: str) -> bool:
    (new_program, new_words), (old_program, old_words) = _split(new), _split(old)
    if not _kept(old_program, [new_program], error):
        return False
    things = [word for word in old_words if not word.startswith("-")]
    return all(_kept(thing, new_words, error) for thing in things)


def _kept(thing: str, among: Sequence[str], error: str) -> bool:
    """Whether it is still there, or was not there to begin with and is replaced by something like it."""
    if thing in among:
        return True
    last = thing.rpartition("/")[2] or thing
    missed = any(last in line and _MISSING.search(line) for line in error.splitlines())
    return missed and any(_alike(thing, other) for other in among if not other.startswith("-"))


def _alike(one: str, other: str) -> bool:
    """The same name elsewhere, or a slip of the keyboard; another number is another thing."""
    if other.rpartition("/")[2] == one.rpartition("/")[2]:
        return True
    if re.sub(r"\d", "", one) == re.sub(r"\d", "", other):
        return False
    from difflib import SequenceMatcher  # rarely needed

    return SequenceMatcher(None, one, other).ratio() >= ALIKE
