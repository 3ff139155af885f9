"""The local reflector: error class, root cause and resolution without a model, a key or a network.

It reads what error texts have in common across tools. It costs nothing and it says when it does not know.
"""

import re
import tomllib
from importlib import resources

UNKNOWN, RAISED = "unknown", "exception"  # no class at all; something was raised that has no class of its own
MAX_CAUSE = 300
MAX_LINE = 500  # what is read of a line: patterns must not be led through a whole trace without a line break
MAX_ANNOUNCEMENT = 100
GLANCE = 64  # characters, in which a text that says anything nearly always begins to
MAX_END = 6_000  # what is read of a trace from either end: tools say first or last what went wrong

_CONTROL = re.compile(  # marks that are not seen, and after ESC what a terminal takes for an order or a title
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
    r"(?:(?<=\x1b)(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)))?"
)
_TABLES = tomllib.loads((resources.files(__package__) / "error_classes.toml").read_text("utf-8"))
CLASSES = {name: re.compile("|".join(patterns)) for name, patterns in _TABLES["texts"].items()}
KNOWN = {*CLASSES, UNKNOWN, RAISED}
_EXCEPTIONS = {exception: name for name, exceptions in _TABLES["exceptions"].items() for exception in exceptions}
_WORD = re.compile(r"\w+")
_MARGIN = " \t│╷╵"  # some tools draw a frame around what they say

# How much a line says about the cause. Of equal lines the first counts where tools go on after an error, the
# last where they stop at it.
_PLAIN, _WARNED, _SUMMED_UP, _SPEAKS, _TEST, _SAID, _LOCATED, _RAISED = range(8)
_FIRST_COUNTS = {_TEST, _SAID, _LOCATED}

_FRAME = re.compile(r'^[ \t]*File "[^\n]*\n(?:[ \t]{4}[^\n]*\n){0,3}', re.MULTILINE)
_FRAMES = "\x00"  # stands where frames were: the line after them is the exception, whatever its name
_AFTER_FRAMES = re.compile(r"[A-Za-z_][\w.]*: |(?:\w+\.)*[A-Z]\w*:?$")
_SILENT = re.compile(
    r"[-=_*~^.+|#\s]*$|Traceback \(most recent|During handling of the above|The above exception was|at \S.*[:(]"
)
_WARNING = re.compile(r"(?:[^:]{1,200}:(?:\d+:){0,2} ?)?(?:npm )?\w*warn(?:ing)?\b")
_SUMS_UP = re.compile(
    r"failed \(|ran \d|[\w./]{1,60}(?:\[\d+\])?: (?:\*\*\* \[|entering|leaving)|(?:note|hint|help|see|usage|tip)\b"
    r"|npm err(?:!|or) (?:code|errno|a complete)"
)
_SUMMARY = re.compile(  # grouped by first letters, as what follows: both are tried on many lines
    r" (?<=\d )(?:failed|passed|deselected|errors?)\b|tests? failed[.!]?$|no(?:n-?zero| errors?\b| issues)"
    r"|exit(?:ed)? (?:with |status|code)|co(?:uld not compile|mpilation terminated|mplete log)|aborting due"
    r"|more (?:info|details)|p(?:lease (?:also )?report|revious errors?)|bug report"
)
_SPEAKING = re.compile(
    r"e(?:rror|xception|rr!)|fa(?:il(?<!\wfail)|tal)|c(?:annot|an't|ould(?: not|n't)|onflict)"
    r"|d(?:enied|oes(?: not|n't))|un(?:able|known|expected|defined|recogni[sz]ed|supported)|re(?:fused|jected)"
    r"|i(?:nvalid|llegal|nterrupt|s a dir)|no(?: such| module|t (?:found|allowed|permitted|supported|empty|a |ok ))"
    r"|a(?:bort|ssert|lready exists)|panic|timed out|violat|warn|: (?:\*\*\*|[a-z]{1,4}\d{2,5}\b)"
)
_PROGRAM = re.compile(r"[^\s:]{1,100}: ")
_FORMS = {  # of lines as they are written, tried in this order
    _RAISED: re.compile(
        r'(?:E\s+|Caused by: |Exception in thread "[^"]*" |Uncaught )?'
        r"(?:(?:[A-Za-z_$][\w$]*(?:\.|::))*[A-Z]\w*(?:Error|Exception|Interrupt|Exit)\b(?: \[\w+\])?(?::|$)|assert )"
    ),
    _TEST: re.compile(r"(?:FAILED|ERROR)\s+\S+(?:::\S+|\s-\s.*)|(?:FAIL|ERROR): \w+ \(|--- FAIL:|not ok \d|● "),
    _LOCATED: re.compile(
        r"[^\s:(][^:(]{0,300}(?::\d+(?::\d+)?|\(\d+,\d+\)): (?:(?:fatal )?error\b|[A-Z]{1,4}\d{2,5}\b)"
        r"|\d+:\d+\s+error\b"
    ),
    _SAID: re.compile(
        r"(?:[^\s:]{1,100}: |\w{1,40} ){0,4}(?:fatal|error|panic|critical|failed|failure|fail|abort(?:ed)?|e)"
        r"(?:\[\w+\])?(?: [\w ()/.-]{0,60})?:|\[(?:error|fatal)\] |npm err(?:!|or) ",
        re.IGNORECASE,
    ),
}


def clean(text: str) -> str:
    """The text without terminal colours, control characters and invisible direction marks."""
    return _CONTROL.sub("", text)


def blank(text: str) -> bool:
    """Whether nothing of a text is seen."""
    return not (clean(text[:GLANCE]).strip() or clean(text).strip())


def classify(error_trace: str) -> str:
    """The error's class, by the line that names the cause, else by the last that speaks of an error; or `unknown`.

    >>> classify("Traceback ...\\nModuleNotFoundError: No module named 'yaml'")
    'missing_module'
    """
    weighed = _weighed(error_trace)
    if found := _class_of(_cause(weighed)):
        return found
    if any(weight == _RAISED for weight, _ in weighed):
        return RAISED
    speaking = (line for weight, line in reversed(weighed) if weight >= _SUMMED_UP)
    return next((found for line in speaking if (found := _class_of(line))), UNKNOWN)


def root_cause(error_trace: str) -> str:
    """The line that says what went wrong, as far as one does; '' for no trace.

    >>> root_cause("cc -c a.c\\na.c:1:10: fatal error: shape.h: No such file or directory\\nmake: *** [a.o] Error 1")
    'a.c:1:10: fatal error: shape.h: No such file or directory'
    """
    return _cause(_weighed(error_trace))[:MAX_CAUSE]


def _class_of(line: str) -> str | None:
    low = line.lower()
    named = (_EXCEPTIONS[word] for word in _WORD.findall(low) if word in _EXCEPTIONS)
    return next(named, None) or next((name for name, pattern in CLASSES.items() if pattern.search(low)), None)


def _cause(weighed: list[tuple[int, str]]) -> str:
    """The weightiest line; a short one that ends in a colon announces the next and gives way to it."""
    most = max(weight for weight, _ in weighed)
    places = [place for place, (weight, _) in enumerate(weighed) if weight == most]
    chosen = places[0 if most in _FIRST_COUNTS else -1]
    said = (line for _, line in weighed[chosen:] if not line.endswith(":") or len(line) > MAX_ANNOUNCEMENT)
    return next(said, weighed[chosen][1])


def _weighed(error_trace: str) -> list[tuple[int, str]]:
    """The lines that say anything, each with how much it says."""
    found, lines, after_frames = [], _lines(error_trace), False
    for line in lines:
        if line == _FRAMES:
            after_frames = True
        elif not _SILENT.match(line):
            raised = after_frames and _AFTER_FRAMES.match(line)
            found.append((_RAISED if raised else _weight(line), line))
            after_frames = False
    if found:
        return found
    spare = clean(error_trace).strip()[:MAX_LINE]
    return [(_PLAIN, next((line for line in reversed(lines) if line != _FRAMES), spare))]


def _weight(line: str) -> int:
    low = line.lower()
    heard = _SPEAKING.search(low)
    if heard is None:
        return _PLAIN
    if _WARNING.match(low):
        return _WARNED
    if _SUMS_UP.match(low) or _SUMMARY.search(low):
        return _SUMMED_UP
    for weight, form in _FORMS.items():
        if form.match(line):
            return weight
    if heard.group() == "warn":
        return _PLAIN
    return _SAID if _PROGRAM.match(line) else _SPEAKS


def _lines(error_trace: str) -> list[str]:
    if len(error_trace) > 2 * MAX_END:
        error_trace = f"{error_trace[:MAX_END]}\n{error_trace[-MAX_END:]}"
    text = clean(f"{error_trace}\n")
    if 'File "' in text:
        text = _FRAME.sub(f"{_FRAMES}\n", text)
    return [short for line in text.splitlines() if (short := line.strip(_MARGIN)[:MAX_LINE])]
