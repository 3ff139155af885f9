"""What the local reflector reads out of the texts that compilers, interpreters, shells, databases and tests print."""

import re
import tomllib
from importlib import resources

import pytest

from controlplane.demo.families import FAMILIES
from controlplane.llm.local import MAX_CAUSE, MAX_END, classify, clean, root_cause
from controlplane.memory.actions import tool_of

# error text, its class, and the beginning of the line that names the cause
SAID: dict[str, tuple[str, str, str]] = {
    "a traceback ends with the exception": (
        'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n    raise ValueError("bad error")\n'
        "ValueError: not enough values to unpack (expected 2, got 0)\nclosing the log",
        "value_error",
        "ValueError: not enough",
    ),
    "an exception needs no telling name": (
        'Traceback (most recent call last):\n  File "a.py", line 403, in f\n    check(label)\n'
        "shop.labels.InvalidLabel: label 4 is reserved",
        "exception",
        "shop.labels.InvalidLabel",
    ),
    "of chained exceptions the last is what ended the program": (
        'Traceback (most recent call last):\n  File "a.py", line 1\n    x[1]\nKeyError: 1\n\nDuring handling of the '
        'above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File "a.py", line 3\n'
        "ConnectionRefusedError: [Errno 111] Connection refused",
        "connection_error",
        "ConnectionRefusedError",
    ),
    "a line number is no status code": (
        'Traceback (most recent call last):\n  File "a.py", line 404, in f\n    run()\nRuntimeError: it is over',
        "exception",
        "RuntimeError: it is over",
    ),
    "the first error of a compiler, not what the build says of it": (
        "a.c:4:3: warning: unused variable 'x'\na.c:5:3: error: 'foo' undeclared (first use in this function)\n"
        "a.c:9:1: error: expected ';' before '}' token\nmake: *** [Makefile:3: a.o] Error 1",
        "name_error",
        "a.c:5:3: error: 'foo' undeclared",
    ),
    "a type checker": (
        'a.py:3: error: Incompatible types in assignment (expression has type "str")\nFound 1 error in 1 file',
        "type_error",
        "a.py:3: error",
    ),
    "a linter": (
        "a.py:1:0: C0114: Missing module docstring\nYour code has been rated at 0.00/10",
        "lint_error",
        "a.py:1",
    ),
    "Rust": (
        "error[E0308]: mismatched types\n --> src/main.rs:2:18\n  |\nerror: could not compile `x` due to 1 error",
        "type_error",
        "error[E0308]",
    ),
    "Go": ("# example.com/x\n./main.go:7:2: undefined: fmt.Printn", "name_error", "./main.go:7:2"),
    "Java": (
        'Exception in thread "main" java.lang.RuntimeException: start failed\n\tat a.C.main(C.java:5)\n'
        "Caused by: java.net.ConnectException: Connection refused\n\tat a.D(D.java:7)\n\t... 12 more",
        "connection_error",
        "Caused by: java.net.ConnectException",
    ),
    "Node": (
        "/srv/x.js:3\nconsole.log(y)\n            ^\n\nReferenceError: y is not defined\n    at Object.<anonymous> "
        "(/srv/x.js:3:13)\n\nNode.js v18.19.0",
        "name_error",
        "ReferenceError: y",
    ),
    "a failed assertion, not the count of failures": (
        ">       assert add(1, 2) == 4\nE       assert 3 == 4\nE        +  where 3 = add(1, 2)\n"
        "FAILED tests/test_a.py::test_a - assert 3 == 4\n=== 1 failed, 3 passed in 0.03s ===",
        "assertion_error",
        "E       assert 3 == 4",
    ),
    "a test that names itself when nothing else is left": (
        "=== short test summary info ===\nFAILED tests/test_a.py::test_a\n=== 1 failed in 0.03s ===",
        "test_failure",
        "FAILED tests/test_a.py::test_a",
    ),
    "MySQL": ("ERROR 1054 (42S22) at line 1: Unknown column 'agge' in 'field list'", "schema_error", "ERROR 1054"),
    "a syntax error in SQL, whatever it quotes": (
        "You have an error in your SQL syntax; the right syntax to use near 'GROUP BY x' at line 1",
        "syntax_error",
        "You have an error",
    ),
    "PostgreSQL": (
        'ERROR:  column "agge" does not exist\nLINE 1: SELECT agge FROM people;\n               ^\nHINT:  Perhaps ...',
        "schema_error",
        'ERROR:  column "agge"',
    ),
    "an ambiguous column": ("Column 'name' in field list is ambiguous", "schema_error", "Column 'name'"),
    "a wrong aggregate": ("Invalid use of group function", "query_error", "Invalid use"),
    "a shell": ("bash: line 1: frobnicate: command not found", "command_not_found", "bash: line 1"),
    "a small shell": ("sh: 1: frobnicate: not found", "command_not_found", "sh: 1"),
    "a program that names itself": (
        "ls: cannot access 'x': No such file or directory",
        "not_found_error",
        "ls: cannot",
    ),
    "the first complaint of several": (
        "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from the other side.\n\nTry again.",
        "connection_error",
        "ssh: connect",
    ),
    "what is announced, not the announcement": (
        "Sphinx error:\nBuilder name X not registered",
        "not_found_error",
        "Builder",
    ),
    "usage, then the mistake": (
        "usage: x.py [-h] --name NAME\nx.py: error: the following arguments are required: --name",
        "usage_error",
        "x.py: error",
    ),
    "a warning is not the cause": (
        "DeprecationWarning: invalid escape sequence\nError: quota exceeded for disk 4",
        "resource_error",
        "Error: quota exceeded",
    ),
    "a frame drawn around the text": (
        "│ Error: Error acquiring the state lock\n│ \n│ Lock Info:",
        "lock_error",
        "Error: Error acquiring",
    ),
    "no error text at all": ("It did not work and I do not know why.", "unknown", "It did not work"),
    "frames without an exception": ('File "a.py", line 1, in f\n    y()\n', "unknown", 'File "a.py", line 1'),
    "nothing": ("\x1b[0m \n", "unknown", ""),
}
# Pieces that lead patterns astray when they come by the thousand.
HOSTILE = [
    'File "x\n    ',
    "a.",
    "a:",
    "E ",
    "error ",
    "error:",
    "1:1:",
    "( ",
    "\x1b[",
    "\n",
    " ",
    "-",
    "not a ",
    "column x ",
]
HOSTILE += [
    "fatal (",
    "http://",
    "0f",
    "/a",
    "'\"",
    "warn",
    "x:1:1: ",
    "expected x",
    "a a: ",
    "Caused by: A.",
    "│",
    "FAILED a",
]


@pytest.mark.parametrize("name", SAID)
def test_cause_is_the_line_that_names_it(name: str) -> None:
    text, _, cause = SAID[name]
    assert root_cause(text).startswith(cause)
    assert bool(cause) == bool(root_cause(text))


@pytest.mark.parametrize("name", SAID)
def test_class_is_that_of_the_cause(name: str) -> None:
    text, error_class, _ = SAID[name]
    assert classify(text) == error_class


def test_colours_and_invisible_marks_hide_nothing() -> None:
    assert clean("\x1b[31m\x1b[1mno\u200b \x00such\x1b[0m file") == "no such file"
    assert root_cause("\x1b[31mE   ModuleNotFoundError: No module named 'yaml'\x1b[0m\n\x1b[31m1 failed\x1b[0m") == (
        "E   ModuleNotFoundError: No module named 'yaml'"
    )


def test_both_ends_of_a_long_text_are_read() -> None:
    noise = "step done\n" * MAX_END
    assert root_cause(f"a.c:1:1: error: 'x' undeclared\n{noise}") == "a.c:1:1: error: 'x' undeclared"
    assert classify(f"{noise}MemoryError: \n") == "resource_error"


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_leads_the_patterns_astray(piece: str) -> None:
    """Patterns that try again and again would not come back from these."""
    text = piece * (65_536 // len(piece))
    assert len(root_cause(text + "!")) <= MAX_CAUSE
    assert classify(text) in rules().keys() | {"unknown", "exception"}
    assert len(clean(text)) <= len(text)


def rules() -> dict[str, list[str]]:
    tables = tomllib.loads(resources.files("controlplane.llm").joinpath("error_classes.toml").read_text("utf-8"))
    names = tables["exceptions"].keys() | tables["texts"].keys()
    return {name: [*tables["exceptions"].get(name, ()), *tables["texts"].get(name, ())] for name in names}


def test_rules_are_written_as_lines_are_read() -> None:
    """In lower case; nothing but digits and letters is repeated without a bound."""
    for name, patterns in rules().items():
        for pattern in patterns:
            assert (bare := re.sub(r"\\.", "", pattern)) == bare.lower(), (name, pattern)
            assert not re.search(r"(?<!\\d)(?<!\\w)(?<!\\)[*+]", pattern), (name, pattern)


def test_no_rule_names_a_tool_of_the_demo() -> None:
    """Rules speak of errors in general; what the demo's families run is not among their words."""
    tools = {tool_of(phrase.command) for family in FAMILIES for job in family.jobs for phrase in job.phrases}
    words = {word for patterns in rules().values() for pattern in patterns for word in re.findall(r"\w+", pattern)}
    assert len(tools) > 5
    assert not words & tools
