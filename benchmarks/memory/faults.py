"""Which fault a recorded failure shows. Written down before anything was tuned, and shown in docs/memory.md."""

import re

MISSING = re.compile(r"(Unknown column|Unknown database|Table|FUNCTION) '?([\w.]+)'?")
RAISED = re.compile(
    r"^(?:E\s+)?(?:\w+\.)*([A-Z]\w*(?:Error|Exception|Interrupt|Exit|Configured))(?=:|\s*$)", re.MULTILINE
)


def sql_fault(said: str) -> str | None:
    """MySQL's kind of error, and the last part of the identifier it misses; None where MySQL reported no error."""
    error = said.removeprefix("Error executing query: ").strip()
    if error == said.strip() or error.startswith("Your last"):  # no error, or none of MySQL's
        return None
    if missing := MISSING.match(error):
        return f"{missing[1]} {missing[2].rpartition('.')[2].lower()}"
    return re.sub(r"'.*|\d+", "", error.splitlines()[0])[:60]


def exception(said: str) -> str | None:
    """The class of the last exception that is named at the start of a line, without its module; None for none."""
    found = RAISED.findall(said)
    return found[-1] if found else None
