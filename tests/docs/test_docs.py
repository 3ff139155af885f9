"""Every setting, route, metric, error code and command is documented, and what is documented exists."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cyclopts
import msgspec
import pytest

from auditor.events import AnyEvent
from auditor.feedback import Outcome
from auditor.rewards import DEFAULT_WEIGHTS
from controlplane import contract, settings
from controlplane.alarms import ALARMS
from controlplane.cli import app
from controlplane.errors import PointsmanError
from controlplane.http.problems import Problem
from controlplane.http.routes import ROUTES, Route
from controlplane.news import KINDS
from controlplane.outbox import WORK
from controlplane.status import PolicyAnswer
from controlplane.telemetry import Metrics
from strategist import Policy, PolicySettings, Situation, State, Step, Transition

Pages = dict[str, str]


def metric_names() -> list[str]:
    return [f"{m.name}_total" if m.type == "counter" else m.name for m in Metrics().registry.collect()]


def errors(of: type[PointsmanError] = PointsmanError) -> Iterator[type[PointsmanError]]:
    yield of
    for kind in of.__subclasses__():
        yield from errors(kind)


def structs(of: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for kind in of.__subclasses__():
        yield kind
        yield from structs(kind)


def commands(of: cyclopts.App = app, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], cyclopts.App]]:
    """Every command that does something, with its words."""
    below = [name for name in of if not name.startswith("-")]
    if not below:
        yield path, of
    for name in below:
        yield from commands(of[name], (*path, name))


def signature(route: Route, path: str) -> str:
    return f"`{route.method.__name__.upper()} {re.sub(r':(str|int)}', '}', path)}`"


def shown(value: Any) -> str:
    """A default as the tables print it."""
    match value:
        case None:
            return "unset"
        case bool():
            return f"`{str(value).lower()}`"
        case float():
            return f"`{value:g}`"
        case _:
            return f"`{value}`"


@pytest.mark.parametrize("setting", settings.table(), ids=lambda s: s.name)
def test_setting_is_documented_with_default_and_help(pages: Pages, setting: settings.Described) -> None:
    row = f"| `{setting.env}` | `{setting.name}` | {shown(setting.default)} | {setting.help} |"
    assert row in pages["docs/configuration.md"]


def test_env_example_names_every_setting_with_its_default(root: Path) -> None:
    lines = re.findall(r"^#(POINTSMAN_\w+)=(.*)$", (root / ".env.example").read_text("utf-8"), re.MULTILINE)
    defaults = {s.env: "" if s.default is None else shown(s.default).strip("`") for s in settings.table()}
    assert dict(lines) == defaults


def test_env_example_uncommented_is_the_defaults(root: Path) -> None:
    lines = re.findall(r"^#(POINTSMAN_\w+)=(.*)$", (root / ".env.example").read_text("utf-8"), re.MULTILINE)
    assert settings.load(dict(lines)) == settings.Settings()


def test_settings_named_in_docs_exist(pages: Pages) -> None:
    named = set(re.findall(r"POINTSMAN_[A-Z_]+", "".join(pages.values())))
    from_files = {f"{settings.PREFIX}{name}{settings.FILE}".upper() for name in settings.SECRET}
    assert named - from_files == {s.env for s in settings.table()}


def test_settings_file_of_the_docs_is_taken(pages: Pages, tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", pages["docs/configuration.md"], re.DOTALL)
    (tmp_path / "pointsman.toml").write_text(example, "utf-8")
    loaded = msgspec.to_builtins(settings.load({}, file=tmp_path / "pointsman.toml"))
    assert {name: loaded[name] for name in tomllib.loads(example)} == tomllib.loads(example)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: signature(r, r.path))
def test_route_is_documented(pages: Pages, route: Route) -> None:
    assert signature(route, route.path) in pages["docs/api.md"]


def test_aliases_are_documented(pages: Pages) -> None:
    aliases = [signature(route, alias) for route in ROUTES for alias in route.aliases]
    assert aliases
    assert [alias for alias in [*aliases, "`/api/v1/...`"] if alias not in pages["docs/api.md"]] == []


def test_routes_named_in_docs_exist(pages: Pages) -> None:
    named = set(re.findall(r"`(?:GET|POST|PUT|PATCH|DELETE) /[^`\s]*`", pages["docs/api.md"]))
    assert named == {signature(route, path) for route in ROUTES for path in (route.path, *route.aliases)}


@pytest.mark.parametrize(
    "struct",
    [*structs(contract.Request), *structs(contract.Answer), Outcome, Problem, PolicyAnswer],
    ids=lambda s: s.__name__,
)
def test_field_of_the_wire_is_documented(pages: Pages, struct: type[msgspec.Struct]) -> None:
    page = pages["docs/api.md"]
    assert [f for f in struct.__struct_fields__ if f'"{f}"' not in page and f"`{f}`" not in page] == []


@pytest.mark.parametrize("metric", metric_names())
def test_metric_is_documented(pages: Pages, metric: str) -> None:
    assert f"| `{metric}` |" in pages["docs/operations.md"]


def test_metrics_named_in_docs_exist(pages: Pages) -> None:
    assert set(re.findall(r"\bpointsman_[a-z_]+", pages["docs/operations.md"])) == set(metric_names())


@pytest.mark.parametrize("error", list(errors()), ids=lambda e: e.__name__)
def test_error_is_documented_with_its_status(pages: Pages, error: type[PointsmanError]) -> None:
    rows = re.findall(r"^\| ((?:`\w+` ?)+) \| (\d+|-) \|", pages["docs/api.md"], re.MULTILINE)
    status = {code: said for codes, said in rows for code in re.findall(r"`(\w+)`", codes)}
    assert status.get(error.code) in (str(error.status), "-")


@pytest.mark.parametrize(
    ("words", "command"), list(commands()), ids=lambda c: " ".join(c) if isinstance(c, tuple) else ""
)
def test_command_is_documented_with_its_options(pages: Pages, words: tuple[str, ...], command: cyclopts.App) -> None:
    page = pages["docs/cli.md"]
    assert f"pointsman {' '.join(words)}" in page
    [section] = [part for part in page.split("\n## ") if part.startswith(f"pointsman {words[0]}\n")]
    options = [name for argument in command.assemble_argument_collection() for name in argument.names]
    assert [option for option in options if f"`{option}`" not in section] == []


def test_event_kinds_are_documented(pages: Pages) -> None:
    kinds = [str(event.__struct_config__.tag) for event in AnyEvent.__args__]
    assert [kind for kind in kinds if f"`{kind}`" not in pages["docs/learning.md"]] == []


def test_kinds_of_work_and_alarms_are_documented_with_what_they_mean(pages: Pages) -> None:
    page = pages["docs/operations.md"].split("## Outbox and alarms")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))
    assert rows == {**{work: of.means for work, of in WORK.items()}, **ALARMS}


def test_kinds_of_news_are_documented_with_what_they_say(pages: Pages) -> None:
    page = pages["docs/memory.md"].split("## News")[1].split("\n## ")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE)) == KINDS


def test_reward_terms_are_documented_with_their_weights(pages: Pages) -> None:
    page = pages["docs/learning.md"]
    for weights in DEFAULT_WEIGHTS.values():
        for term, weight in weights.items():
            assert re.search(rf"^\|.*\| `{term}` \|.*\| {weight:g} \|$", page, re.MULTILINE), term


def test_worked_example_is_what_the_table_computes(pages: Pages) -> None:
    situation = Situation(State((("coarse", "middle", "fine"),)), ("HINT", "BLOCK"), "HINT")
    policy = Policy(PolicySettings())
    computed = []
    for reward in (0.98, -1.02):
        policy.fold(Transition.termination((Step(situation, "HINT"),), reward))
        computed += [cell[2] for cell in policy.table.cells()] + [policy.values(situation)[0]]
    example = pages["docs/learning.md"].split("## Worked by hand")[1]
    assert [f"{value:.4f}" for value in computed] == [
        f"{v:.4f}" for v in (0.845, 0.98, 0.98, 0.8684298, 0.472, -0.02, -0.02, 0.3216667)
    ]
    assert [v for v in ("0.845", "0.98", "0.8684", "0.472", "-0.02", "0.3217") if v not in example] == []


def test_json_of_the_docs_is_json(pages: Pages) -> None:
    blocks = [block for page in pages.values() for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    assert len(blocks) > 10
    for block in blocks:
        json.loads(block)


def test_links_between_pages_lead_somewhere(pages: Pages, root: Path) -> None:
    broken = [
        f"{name}: {target}"
        for name, page in pages.items()
        for target in re.findall(r"\]\(([^)\s]+)\)", page)
        if not target.startswith("https://") and not leads_somewhere(root / name, target)
    ]
    assert broken == []


def leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = page.parent / path if path else page
    return file.exists() and (not anchor or anchor in anchors(file.read_text("utf-8")))


def anchors(page: str) -> set[str]:
    """What a page's headings are linked by."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ["docs/security.md"])
def test_every_promise_names_tests_that_exist(pages: Pages, root: Path, page: str) -> None:
    """By function, or by file."""
    sources = "".join(file.read_text("utf-8") for file in (root / "tests").rglob("test_*.py"))
    functions, files = (set(re.findall(p, pages[page])) for p in (r"`(test_\w+)`", r"`(tests/[\w/]+\.py)`"))
    assert functions
    assert [name for name in functions if f"def {name}(" not in sources] == []
    assert [name for name in files if not (root / name).exists()] == []


def test_every_page_is_linked_from_the_readme(pages: Pages) -> None:
    assert [name for name in pages if name != "README.md" and f"({name})" not in pages["README.md"]] == []


def test_commands_that_pages_tell_to_run_exist(pages: Pages) -> None:
    """The changelog tells of what was, so it is left out."""
    known = {words[0] for words, _ in commands()}
    told = {word for name, page in pages.items() if name != "CHANGELOG.md" for word in runs(page)}
    assert {"serve", "backup", "restore", "doctor"} <= told
    assert told - known == set()


def runs(page: str) -> list[str]:
    """First words after `pointsman` in what stands in code."""
    code = [*re.findall(r"```sh\n(.*?)```", page, re.DOTALL), *re.findall(r"`([^`\n]+)`", page)]
    code += re.findall(r"^ {4}(\S.*)$", page, re.MULTILINE)
    return [
        word
        for text in code
        for word in re.findall(r"(?:^|[\s(\"]|bin/)pointsman ([a-z][a-z-]+)", text)
        if word != "pointsman"
    ]


def test_every_promise_on_security_names_a_test(pages: Pages) -> None:
    tables = re.findall(r"^\| promise \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", pages["docs/security.md"], re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(rows) > 30
    assert [row for row in rows if "`test_" not in row and not row.endswith("| the same |")] == []


def test_every_item_of_owasp_is_answered(pages: Pages) -> None:
    section = pages["docs/security.md"].split("## OWASP's lists, item by item")[1].split("\n## ")[0]
    rows = [row.split("|")[1:-1] for row in section.splitlines() if row.startswith("| ")]
    answered = {
        item for first, *rest in rows if all(cell.strip() for cell in rest) for item in re.findall(r"[A-Z]+\d+", first)
    }
    lists = (
        {f"API{n}" for n in range(1, 11)},
        {f"LLM{n:02}" for n in range(1, 11)},
        {f"ASI{n:02}" for n in range(1, 11)},
    )
    assert set().union(*lists) - answered == set()
