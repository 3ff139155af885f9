"""Notes between events: private, whole or not there, taken once, forgotten in time."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controlplane.hook.session import ADVICE, CALL, FAILURE, FEW, KEPT_S, MOST, Session, home


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(str(tmp_path), "s1")


def test_a_note_is_kept_for_the_next_event_and_taken_once(session: Session, tmp_path: Path) -> None:
    session.keep(CALL, "c1", {"trace_id": "tr_1"})
    session.keep(CALL, "c1", {"trace_id": "tr_2"})
    later = Session(str(tmp_path), "s1")
    assert later.take(CALL, "c1") == {"trace_id": "tr_2"}
    assert later.take(CALL, "c1") is None
    assert session.take(ADVICE, "never") is None


def test_of_many_who_take_a_note_one_gets_it(session: Session) -> None:
    for i in range(20):
        session.keep(CALL, f"c{i}", {"i": i})
        with ThreadPoolExecutor(8) as others:
            got = list(others.map(lambda _, name=f"c{i}": session.take(CALL, name), range(8)))
        assert [note for note in got if note is not None] == [{"i": i}]


def test_notes_written_at_once_are_all_there(session: Session) -> None:
    with ThreadPoolExecutor(8) as others:
        list(others.map(lambda i: session.keep(CALL, f"c{i}", {"i": i}), range(40)))
    assert sorted(note["i"] for _, note in session.notes(CALL)) == list(range(40))


def test_the_newest_notes_come_first_and_kinds_stay_apart(session: Session, tmp_path: Path) -> None:
    for i in range(3):
        session.keep(CALL, f"c{i}", {"i": i})
        os.utime(tmp_path / "s1" / "main" / f"call.c{i}.json", (i, i))
    session.keep(ADVICE, "tr_1", {})
    assert [name for name, _ in session.notes(CALL)] == ["c2", "c1", "c0"]


def test_one_note_too_many_pushes_out_the_oldest(session: Session, tmp_path: Path) -> None:
    for i in range(MOST[FAILURE] + 3):
        session.keep(FAILURE, str(i), {"i": i})
        os.utime(tmp_path / "s1" / "main" / f"failure.{i}.json", (i, i))
    session.keep(CALL, "c", {})
    assert [note["i"] for _, note in session.notes(FAILURE)] == list(range(MOST[FAILURE] + 2, 2, -1))


def test_a_note_gets_another_name_once(session: Session) -> None:
    session.keep(CALL, "old", {"i": 1})
    assert session.rename(CALL, "old", "new")
    assert not session.rename(CALL, "old", "newer")
    assert session.take(CALL, "new") == {"i": 1}


def test_agents_of_a_session_have_notes_of_their_own_and_are_forgotten_together(
    session: Session, tmp_path: Path
) -> None:
    subagent = Session(str(tmp_path), "s1", "a1")
    session.keep(CALL, "c", {"who": "main"})
    subagent.keep(CALL, "c", {"who": "a1"})
    Session(str(tmp_path), "s2").keep(CALL, "c", {"who": "other"})
    assert sorted(note["who"] for agent in session.agents() for _, note in agent.notes(CALL)) == ["a1", "main"]
    session.forget()
    session.forget()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s2"]


@pytest.mark.parametrize("name", ["../../etc", "..", "a/b", "", "x" * 300, "a.b", "ü", "\x00"])
def test_a_name_from_outside_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    session = Session(str(root), name, name)
    session.keep(CALL, name, {"kept": True})
    assert [note for _, note in session.notes(CALL)] == [{"kept": True}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]
    assert len([path for path in root.rglob("*") if path.is_file()]) == 1


def test_a_damaged_note_is_none(session: Session, tmp_path: Path) -> None:
    session.keep(CALL, "c", {})
    for damage in ("", "{", "[]"):
        (tmp_path / "s1" / "main" / "call.c.json").write_text(damage)
        assert list(session.notes(CALL)) == []
    assert session.take(CALL, "c") is None


def abandon(root: Path, name: str) -> None:
    """A session of long ago."""
    Session(str(root), name).keep(CALL, "c", {})
    long_ago = time.time() - KEPT_S - 60
    for folder in (root / name, root / name / "main"):
        os.utime(folder, (long_ago, long_ago))


def test_sessions_nobody_ended_are_forgotten_when_one_ends(tmp_path: Path) -> None:
    ending = Session(str(tmp_path), "ending")
    ending.keep(CALL, "c", {})
    for i in range(FEW * 3):
        abandon(tmp_path, f"old{i}")
    abandon(tmp_path, "idle")
    os.utime(tmp_path / "idle" / "main")  # something was noted there lately
    ending.forget_old()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ending", "idle"]


def test_a_call_that_begins_a_session_looks_at_a_few_old_ones(tmp_path: Path) -> None:
    """Its agent waits; and where no session is ever ended, they still do not become more and more."""
    for i in range(FEW * 3):
        (tmp_path / f"old{i}").mkdir()
        os.utime(tmp_path / f"old{i}", (1, 1))
    for i, left in enumerate((FEW * 2, FEW + 1)):
        Session(str(tmp_path), f"new{i}").keep(CALL, "c", {})
        assert left - i <= len(list(tmp_path.glob("old*"))) <= left  # of the second few, one may be the first session


def test_state_lies_where_the_user_keeps_state(tmp_path: Path) -> None:
    assert home({"XDG_STATE_HOME": str(tmp_path)}) == f"{tmp_path}/pointsman/hook"
    for unusable in ({}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}):
        assert home(unusable) == str(Path.home() / ".local/state/pointsman/hook")


def test_a_note_is_json_a_person_can_read(session: Session, tmp_path: Path) -> None:
    session.keep(CALL, "toolu_01", {"trace_id": "tr_1"})
    assert json.loads((tmp_path / "s1" / "main" / "call.toolu_01.json").read_text()) == {"trace_id": "tr_1"}
