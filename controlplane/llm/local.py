"""The local reflector: error class, root cause and resolution without a model, a key or a network.

It reads what error texts have in common across tools. It costs nothing and it says when it does not know.
"""

import re
import tomllib
from importlib import resources

ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")
UNKNOWN = "unknown"
MAX_CAUSE = 300
MAX_LINE = 500  # what is read of a line: patterns must not be led through a whole trace without a line break

CLASSES = {
    name: re.compile("|".join(patterns), re.IGNORECASE)
    for name, patterns in tomllib.loads(
        (resources.files(__package__) / "error_classes.toml").read_text("utf-8")
    ).items()
}
_SPEAKING = re.compile(
    r"\b(error|fatal|failed|failure|exception|cannot|can't|could not|denied|refused|not found|no such)\b"
    r"|^\w*(Error|Exception)\b",
    re.IGNORECASE,
)


def clean(text: str) -> str:
    """The text without terminal colours, control characters and invisible direction marks."""
    return ANSI.sub("", text)


def classify(error_trace: str) -> str:
    """The error's class, by the last line of the trace that any class knows; `unknown` when none does.

    >>> classify("Traceback ...\\nModuleNotFoundError: No module named 'yaml'")
    'missing_module'
    """
    lines = _lines(error_trace)
    for line in reversed(lines):
        for name, pattern in CLASSES.items():
            if pattern.search(line):
                return name
    return UNKNOWN


def root_cause(error_trace: str) -> str:
    """The line that says what went wrong: the last speaking one, else the last one; '' for no trace."""
    lines = _lines(error_trace)
    speaking = [line for line in lines if _SPEAKING.search(line)]
    return (speaking or lines or [""])[-1][:MAX_CAUSE]


def _lines(error_trace: str) -> list[str]:
    return [line.strip()[:MAX_LINE] for line in clean(error_trace).splitlines() if line.strip()]
