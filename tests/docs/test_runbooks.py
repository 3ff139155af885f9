"""Every sign of trouble has its runbook: events of the log, error codes of 5xx, findings of the doctor, alerts."""

import ast
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from controlplane import doctor
from controlplane.errors import PointsmanError
from controlplane.http import calls

SEVERE = {"warning", "error", "critical", "exception"}
MILD = {"debug", "info"}
Rule = dict[str, Any]


@pytest.fixture(scope="module")
def signs(root: Path) -> str:
    """What the page says about signs, by name in backticks."""
    return (root / "docs" / "runbooks.md").read_text("utf-8")


@pytest.fixture(scope="module")
def rules(root: Path) -> list[Rule]:
    [group] = yaml.safe_load((root / "deploy" / "alerts.yml").read_text("utf-8"))["groups"]
    return list(group["rules"])


def logged(root: Path) -> dict[str, str]:
    """Every event that the server's own code logs, with its level; one whose name is no literal is an error here."""
    calls = [
        node
        for path in (root / "controlplane").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "log"
        if node.func.attr in SEVERE | MILD
    ]
    return {ast.literal_eval(call.args[0]): call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}


def errors(of: type[PointsmanError] = PointsmanError) -> set[type[PointsmanError]]:
    return {of}.union(*(errors(kind) for kind in of.__subclasses__()))


def test_every_warning_and_error_of_the_log_has_a_runbook(root: Path, signs: str) -> None:
    severe = {event for event, level in logged(root).items() if level in SEVERE}
    assert len(severe) > 20
    assert {event for event in severe if f"`{event}`" not in signs} == set()


def test_loggers_have_the_name_that_is_looked_for(root: Path) -> None:
    made = [line for path in (root / "controlplane").rglob("*.py") for line in path.read_text("utf-8").splitlines()]
    loggers = {line for line in made if "structlog.get_logger" in line}
    assert loggers == {"log = structlog.get_logger()"}


def test_every_failure_of_the_server_has_a_runbook(signs: str) -> None:
    codes = {kind.code for kind in errors() if kind.status >= 500 and kind.code not in ("bad_setting", "cannot_play")}
    assert {"storage_full", "journal_damaged", "overloaded"} <= codes
    assert {code for code in codes if f"`{code}`" not in signs} == set()


def test_every_line_of_the_doctor_has_a_runbook(root: Path, signs: str) -> None:
    found = signs.split("## What the doctor finds")[1]
    source = Path(doctor.__file__).read_text("utf-8")
    lines = set(re.findall(r"""(?:_fine\(|about=)"([\w ]+)\"""", source))
    assert {"sqlite", "syncs", "journal", "model"} <= lines
    assert {line for line in lines if f"`{line}`" not in found} == set()


def test_names_on_the_page_are_names_of_ours(root: Path, rules: list[Rule], signs: str) -> None:
    """A sign that was renamed would send nobody to its section."""
    first = [paragraph for paragraph in signs.split("\n\n") if paragraph.startswith("**Signs**")]
    logs = {name for text in first for name in re.findall(r"log ((?:`\w+`[^;`]*)+)", text)}
    named = {name for text in logs for name in re.findall(r"`([a-z]+_[a-z_]+)`", text)}
    assert len(named) > 15
    assert named - set(logged(root)) == set()
    assert set(re.findall(r"`(Pointsman[A-Z]\w+)`", signs)) == {rule["alert"] for rule in rules}


def test_every_alert_asks_for_error_codes_that_exist(rules: list[Rule]) -> None:
    asked = [
        code for rule in rules for found in re.findall(r'code=~?"([^"]+)"', rule["expr"]) for code in found.split("|")
    ]
    assert len(asked) > 5
    assert set(asked) - {kind.code for kind in errors()} == set()


def test_every_alert_asks_for_parts_that_are_documented(rules: list[Rule], pages: dict[str, str]) -> None:
    asked = {
        part for rule in rules for found in re.findall(r'part=~?"([^"]+)"', rule["expr"]) for part in found.split("|")
    }
    assert asked
    assert [part for part in asked if f"\n| `{part}` |" not in pages["docs/operations.md"]] == []


def test_every_alert_leads_to_its_runbook(rules: list[Rule], signs: str) -> None:
    headings = re.findall(r"^## (.+)$", signs, re.MULTILINE)
    sections = dict(zip(headings, re.split(r"^## .+$", signs, flags=re.MULTILINE)[1:], strict=True))
    anchors = {heading: re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-")) for heading in headings}
    by_anchor = {f"docs/runbooks.md#{anchors[heading]}": text for heading, text in sections.items()}
    assert [r["alert"] for r in rules if f"`{r['alert']}`" not in by_anchor[r["annotations"]["runbook"]]] == []


def test_every_section_says_what_to_do_and_when_it_is_over(signs: str) -> None:
    sections = [text for text in re.split(r"^## ", signs, flags=re.MULTILINE) if "**Signs**" in text]
    assert len(sections) > 15
    assert [text.splitlines()[0] for text in sections if "**Over when**" not in text] == []


def test_every_state_of_readiness_has_a_runbook(signs: str) -> None:
    [line] = [line for line in inspect.getsource(calls.readyz).splitlines() if "waiting =" in line]
    states = {"ready", *re.findall(r'"(\w+)"', line)}
    assert len(states) == 4
    assert {state for state in states if f"| `{state}`, " not in signs} == set()


def test_fields_of_the_status_that_are_to_be_looked_at_are_there(signs: str, pages: dict[str, str]) -> None:
    [status] = re.findall(r"```json\n(\{\"uptime_seconds\".*?)```", pages["docs/api.md"], re.DOTALL)
    parts = {part: fields for part, fields in json.loads(status).items() if isinstance(fields, dict)}
    there = {f"{part}.{name}" for part, fields in parts.items() for name in fields}
    looked_at = set(re.findall(r"`((?:journal|recovery|intake|embedder|memory)\.[a-z_]+)`", signs)) - {"journal.db"}
    assert {"journal.trouble", "recovery.damaged", "intake.shedding"} <= looked_at
    assert looked_at - there == set()
