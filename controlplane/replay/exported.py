"""Logged decisions as rows of exported Parquet files, and where in a folder each file stands.

`tenant=T/point=P/day=YYYY-MM-DD/part-00000.parquet`: the day (UTC) on which decisions were learnt, in the order in
which they were. So a day that is over stays as it is, and files in the order of their names are the log.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import msgspec

from strategist import Situation, Step
from strategist.errors import BadLog
from strategist.evaluation import LoggedDecision, Sight
from strategist.features.bins import Fact

from ..errors import UnusableLog
from . import parquet
from .parquet import FLAG, NUMBER, NUMBERS, TEXT, TEXTS, WHOLE

KINDS = {
    "row": WHOLE,
    "action": TEXT,
    "situation": TEXT,
    "inputs": TEXT,
    "propensity": NUMBER,
    "probabilities": NUMBERS,
    "reward": NUMBER,
    "success": FLAG,
    "cost_usd": NUMBER,
    "latency_ms": NUMBER,
    "explored": FLAG,
    "task": TEXT,
    "following": TEXT,
    "followed_by": WHOLE,
    "truncated": FLAG,
    "masked": TEXTS,
    "later": TEXT,
}
TERM = "term."  # a column for each term of the reward
SITUATIONS = 100_000  # read ones that are kept: most decisions stand where another one stood
_PLACE = re.compile(r"tenant=(?P<tenant>[^/]+)/point=(?P<point>[^/]+)/day=(?P<day>[^/]+)/[^/]+\.parquet$")
Key = tuple[str, str]  # tenant, point


class Inputs(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a featurizer reads of a decision, beside its state."""

    facts: dict[str, Fact] = {}
    text_codes: tuple[str, ...] = ()
    own_facts: dict[str, Fact] = {}


class Group(NamedTuple):
    """The files of a tenant's point in the order of the log, each with its number of decisions."""

    tenant: str
    point: str
    files: tuple[tuple[Path, int], ...]

    @property
    def decisions(self) -> int:
        return sum(count for _, count in self.files)


def place(tenant: str, point: str, day: str, number: int) -> Path:
    """Where a part of a day stands in the folder."""
    return Path(f"tenant={quote(tenant, '')}", f"point={quote(point, '')}", f"day={day}", f"part-{number:05}.parquet")


def is_exported(log: Path) -> bool:
    """Whether it is a folder or a pattern of files, not one file."""
    return log.is_dir() or has_magic(str(log))


def groups(log: Path) -> list[Group]:
    """The files of a folder, or of a pattern of folders or files.

    Raises:
      UnusableLog: there is none, or one that cannot be read.
    """
    named = [Path(name) for name in glob(str(log))] if has_magic(str(log)) else [log]
    files = sorted({file for path in named for file in ([path] if path.is_file() else path.rglob("*.parquet"))})
    found: dict[Key, list[tuple[Path, int]]] = {}
    for file in files:
        where = _PLACE.search(file.absolute().as_posix())
        if where is None:
            raise UnusableLog(f"{file} does not stand in tenant=.../point=.../day=.../, as exported files do")
        key = unquote(where["tenant"]), unquote(where["point"])
        found.setdefault(key, []).append((file, parquet.names_and_count(file)[1]))
    if not found:
        raise UnusableLog(f"{log} has no exported decisions; make some with `pointsman export`")
    return [Group(*key, tuple(of)) for key, of in sorted(found.items())]


def encoded(decisions: Sequence[LoggedDecision]) -> bytes:
    """A file of decisions."""
    terms = {f"{TERM}{name}": NUMBER for name in sorted({name for each in decisions for name in each.terms})}
    told = [_told(decision) for decision in decisions]
    kinds = KINDS | terms
    return parquet.encoded(kinds, {name: [row.get(name) for row in told] for name in kinds})


def _told(decision: LoggedDecision) -> dict[str, Any]:
    sight = decision.sight
    situation = msgspec.structs.replace(sight.situation, probabilities=())
    return {
        **{name: getattr(decision, name) for name in KINDS if hasattr(decision, name)},
        "situation": _json(situation),
        "inputs": _json(Inputs(sight.facts, sight.text_codes, sight.own_facts)),
        "following": None if decision.following is None else _json(decision.following),
        "later": _json(decision.later) if decision.later else None,
        **{f"{TERM}{name}": value for name, value in decision.terms.items()},
    }


def _json(of: Any) -> str:
    return msgspec.json.encode(of).decode()


def decisions(files: Iterable[Path]) -> Iterator[LoggedDecision]:
    """The decisions of exported files, one after the other.

    Raises:
      UnusableLog: a file cannot be read, or a row of it cannot be used.
    """
    known: dict[str, Situation] = {}
    for file in files:
        number = 0
        for batch in parquet.lists(file):
            terms = [name for name in batch if name.startswith(TERM)]
            for row in zip(*batch.values(), strict=True):
                number += 1
                try:
                    yield _decision(dict(zip(batch, row, strict=True)), terms, known)
                except KeyError as error:
                    raise UnusableLog(f"{file} has no column {error}; export it again") from error
                except TypeError as error:
                    raise UnusableLog(f"{file}, row {number}: a value that every decision has is missing") from error
                except (BadLog, msgspec.MsgspecError) as error:
                    raise UnusableLog(f"{file}, row {number}: {error}") from error
            if len(known) > SITUATIONS:
                known.clear()


def _decision(row: dict[str, Any], terms: Sequence[str], known: dict[str, Situation]) -> LoggedDecision:
    probabilities = None if row["probabilities"] is None else tuple(row["probabilities"])
    situation = known.get(row["situation"])
    if situation is None:
        situation = known[row["situation"]] = situation_of(row["situation"])
    inputs = msgspec.json.decode(row["inputs"], type=Inputs)
    return LoggedDecision(
        row=row["row"],
        sight=sight_of(msgspec.structs.replace(situation, probabilities=probabilities or ()), inputs),
        action=row["action"],
        propensity=row["propensity"],
        probabilities=probabilities,
        reward=row["reward"],
        terms={name.removeprefix(TERM): row[name] for name in terms if row[name] is not None},
        success=row["success"],
        cost_usd=row["cost_usd"],
        latency_ms=row["latency_ms"],
        explored=row["explored"],
        task=row["task"],
        following=None if row["following"] is None else msgspec.json.decode(row["following"], type=Sight),
        followed_by=row["followed_by"],
        truncated=row["truncated"],
        masked=tuple(row["masked"]),
        later=() if row["later"] is None else msgspec.json.decode(row["later"], type=tuple[Step, ...]),
    )


def situation_of(text: str) -> Situation:
    """Raises msgspec.MsgspecError for what is none."""
    return msgspec.json.decode(text, type=Situation)


def sight_of(situation: Situation, inputs: Inputs) -> Sight:
    return Sight(situation, inputs.facts, inputs.text_codes, inputs.own_facts)
