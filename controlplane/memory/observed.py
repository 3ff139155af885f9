"""Conditions that a failure's own words are certain about: versions of interpreters, the system, a missing tool."""

import re

_VERSION = re.compile(
    r"^(Python|Ruby|Node\.js|node|PHP|go version go|java version \"?)\s*v?(\d+\.\d+(?:\.\d+)?)", re.MULTILINE
)
_SYSTEM = re.compile(r"^(Linux|Darwin|FreeBSD) \S+ \d+\.\d+", re.MULTILINE)
_MISSING = re.compile(
    r"^(?:[\w/.-]+: )?(?:line \d+: )?([\w.+-]{1,40}): (?:command )?not found$"
    r"|^zsh: command not found: ([\w.+-]{1,40})$"
    r"|^'([\w.+-]{1,40})' is not recognized as an internal or external command",
    re.MULTILINE,
)
_NAMES = {"node.js": "node", "go version go": "go", 'java version "': "java", "java version": "java"}
MOST = 8


def conditions_in(trace: str) -> dict[str, object]:
    """What the lines of a trace state, each by a line of its own form.

    >>> conditions_in("Linux box 6.1.0 #1 SMP\\nPython 3.11.4\\nbash: line 1: kubectl: command not found")
    {'python': '3.11.4', 'os': 'Linux', 'kubectl': 'missing'}
    """
    found: dict[str, object] = {}
    for program, version in _VERSION.findall(trace):
        name = program.lower().strip()
        found[_NAMES.get(name, name)] = version
    if (system := _SYSTEM.search(trace)) is not None:
        found["os"] = system[1]
    for names in _MISSING.findall(trace):
        found["".join(names)] = "missing"
    return dict(list(found.items())[:MOST])
