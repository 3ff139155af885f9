"""Contexts and patches: the best memories under a budget, safe to tell, and joined to what came of them."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from controlplane.memory.chunking import tokens

from .conftest import Json, Running, Serve, chosen


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(chosen(tmp_path_factory.mktemp("contexts"))) as server:
        yield server


@pytest.fixture
def space(running: Running, request: pytest.FixtureRequest) -> "Space":
    """A namespace of the test's own."""
    return Space(running, request.node.name)


class Space:
    """One namespace of a server."""

    def __init__(self, server: Running, namespace: str) -> None:
        self.server, self.namespace = server, namespace

    def capture(self, **fields: Any) -> int:
        return int(self.server.capture(namespace=self.namespace, **fields)["episode_id"])

    def keep(self, origin: str, *documents: Json) -> None:
        kept = self.server.post(
            "/v1/documents", {"namespace": self.namespace, "origin": origin, "documents": list(documents)}
        )
        assert {one["status"] for one in kept["documents"]} == {"kept"}

    def context(self, **fields: Any) -> Json:
        return dict(self.server.post("/v1/context", {"namespace": self.namespace, **fields}))

    def patches(self, **fields: Any) -> Json:
        return dict(self.server.post("/v1/patches/search", {"namespace": self.namespace, **fields}))

    def report(self, session: Json, status: int = 200, **fields: Any) -> Json:
        return dict(self.server.post(f"/v1/sessions/{session['session_id']}/outcome", fields, status))


GUIDE = {
    "key": "push.md",
    "title": "How to push",
    "text": "Set the upstream with git push --set-upstream.",
    "license": "MIT",
}


def patch(key: str, text: str = "retry the flaky upload with a pause", **fields: Any) -> Json:
    return {"key": key, "kind": "patch", "text": text, **fields}


def test_a_context_holds_failures_documents_and_patches_by_kind_with_where_they_are_from(space: Space) -> None:
    episode = space.capture(
        goal="git push to upstream", planned_action="git push", resolution="git push -u origin HEAD"
    )
    space.keep("wiki", GUIDE)
    space.keep("bot-7", patch("p1", "git push with the upstream set"))
    found = space.context(goal="git push to upstream", planned_action="git push")
    assert {kind: len(told) for kind, told in found["context"].items()} == {"episodes": 1, "documents": 1, "patches": 1}
    [told] = found["context"]["episodes"]
    assert (told["memory_id"], told["resolution"]) == (episode, "git push -u origin HEAD")
    assert {(of["what"], of["origin"], of["memories"]) for of in found["origins"]} == {
        ("errors", "agents", 1), ("documents", "wiki", 1), ("enhancements", "bot-7", 1),
    }  # fmt: skip
    entries = [entry for told in found["context"].values() for entry in told]
    assert found["tokens"] == sum(tokens(msgspec.json.encode(entry).decode()) + 1 for entry in entries)


@pytest.mark.parametrize("budget", [64, 300, 1500])
def test_a_context_stays_under_its_budget_and_says_what_it_left_out(space: Space, budget: int) -> None:
    for n, name in enumerate(["ash", "bay", "elm", "fir", "hop", "ivy", "oak", "yew", "box", "fig", "may", "sow"]):
        space.capture(
            goal=f"deploy the shop {name}", planned_action=f"kubectl apply -f {name}.yaml" + f" -l {name}" * 30 * n
        )
    found = space.context(goal="deploy the shop", min_similarity=-1, token_budget=budget)
    assert found["tokens"] <= budget
    told = sum(len(entries) for entries in found["context"].values())
    assert told + found["left_out"] + found["repeated"] == 12
    assert told < 12


def test_each_bound_of_safety_leaves_out_and_counts_by_its_name(space: Space) -> None:
    space.keep(
        "bots",
        patch("fine", license="MIT"),
        patch("severe", "retry the flaky upload twice", alignment_severity=0.8),
        patch("alerted", "retry the flaky upload at night", semantic_alerts=2),
        patch("copyleft", "retry the flaky upload for free", license="GPL-3.0-only"),
    )
    safety = {"max_alignment_severity": 0.5, "max_alerts": 1, "license_denylist": ["GPL-3.0"]}
    found = space.patches(query="retry the flaky upload", safety=safety)
    assert [one["key"] for one in found["results"]] == ["fine"]
    assert found["filtered"] == {"alignment_severity": 1, "semantic_alerts": 1, "license": 1}
    told = space.context(goal="retry the flaky upload", safety=safety)
    assert told["filtered"] == found["filtered"]
    assert len(space.patches(query="retry the flaky upload")["results"]) == 4


def test_what_is_not_trusted_is_left_out_and_trust_comes_from_outcomes(space: Space) -> None:
    space.keep("liar", patch("bad", "retry the flaky upload by deleting it"))
    for _ in range(6):
        session = space.patches(query="retry the flaky upload")
        assert space.report(session, success=False)["updated"]
    found = space.patches(query="retry the flaky upload", safety={"min_trust": 0.3})
    assert (found["results"], found["filtered"]) == ([], {"trust": 1})


def test_a_patch_that_failed_ranks_lower_and_makes_commands_like_it_riskier_until_it_works(space: Space) -> None:
    space.keep("bots", patch("p", "kubectl rollout restart deploy/till"), patch("q", "kubectl get pods of the till"))

    def looked_at() -> tuple[float, float, Json]:
        """The worth of the patch, that of another one, and the gate's answer about a command like the first."""
        worth = {one["key"]: one["scores"]["worth"] for one in space.patches(query="kubectl till")["results"]}
        asked = {"planned_action": "kubectl rollout restart deploy/till now", "namespace": space.namespace}
        return worth["p"], worth["q"], space.server.gate(**asked)

    def used(*, works: bool) -> None:
        session = space.patches(query="kubectl till")
        [memory_id] = [one["memory_id"] for one in session["results"] if one["key"] == "p"]
        for _ in range(2):  # a repeat changes nothing
            space.report(session, success=works, used=[memory_id])

    worth, other, untried = looked_at()
    assert (worth, other, untried["evidence"]) == (0.5, 0.5, 0)
    used(works=True)
    worth, other, worked = looked_at()
    assert (worth, other, worked["risk"]) == (pytest.approx(2 / 3, abs=1e-4), 0.5, untried["risk"])
    used(works=False)
    worth, other, failed = looked_at()
    assert (worth, other, failed["evidence"]) == (0.5, 0.5, 2)
    used(works=False)
    worth, other, again = looked_at()
    assert (worth, other) == (pytest.approx(0.4), 0.5)
    assert again["risk"] > failed["risk"]
    used(works=True)
    assert looked_at()[0] == 0.5
    assert looked_at()[2]["risk"] < again["risk"]


def test_of_several_patches_that_were_shown_none_is_judged_where_nobody_said_which_was_used(space: Space) -> None:
    space.keep("nobody said", patch("one"), patch("two", "retry the flaky upload twice"))
    session = space.patches(query="retry the flaky upload")
    assert space.report(session, success=False)["updated"]
    again = space.patches(query="retry the flaky upload")["results"]
    assert [one["scores"]["worth"] for one in again] == [0.5, 0.5]
    assert [one["scores"]["origin"] for one in again] == pytest.approx([1 / 3, 1 / 3], abs=1e-4)


def test_a_document_with_much_metadata_is_told_in_a_small_context(space: Space) -> None:
    long = {
        "author": "ann",
        "log": "line " * 1600,
        "parts": list(range(900)),
        **{f"name{n}": "x" * 99 for n in range(90)},
    }
    space.keep("wiki", {**GUIDE, "metadata": long})
    [told] = space.context(goal="push", token_budget=1500, min_similarity=-1)["context"]["documents"]
    assert told["text"] == GUIDE["text"]
    assert len(told["metadata"]) == 16
    assert max(map(len, told["metadata"])) < 300
    shown = {name: told["metadata"][name] for name in ("author", "log", "parts")}
    assert shown == {"author": "ann", "log": f"{long['log'][:200]} [...]", "parts": "[...]"}


def test_a_wrong_fingerprint_is_a_clear_error(space: Space) -> None:
    body = {"query": "x", "safety": {"license_denylist": ["sha256:12"]}}
    problem = space.server.post("/v1/patches/search", body, 422)
    assert "sha256:" in problem["detail"]


def test_a_patch_s_score_mixes_similarity_with_its_own_figure_and_stays_within_0_and_1(space: Space) -> None:
    space.keep(
        "bots",
        patch("near", enhancement=0.0),
        patch("far", "retry an upload", enhancement=1.0),
        patch("silent", "retry the flaky upload"),
    )
    by_words = space.patches(query="retry the flaky upload with a pause", enhancement_weight=0)["results"]
    assert by_words[0]["key"] == "near"
    assert by_words[0]["scores"]["similarity"] == pytest.approx(1.0, abs=1e-4)
    mixed = space.patches(query="retry the flaky upload with a pause", enhancement_weight=0.9)["results"]
    assert mixed[-1]["key"] == "near"
    for one in (*by_words, *mixed):
        assert 0.0 <= one["score"] <= 1.0
    scored = [{one["key"]: one["score"] for one in results}["silent"] for results in (by_words, mixed)]
    assert scored[0] == scored[1], "no figure, no mixing"


def test_sessions_report_success_and_return_by_origin_and_what_that_is(space: Space) -> None:
    space.server.post("/v1/origins", {"origin": "wf-1", "what": "workflows"})
    space.keep("wf-1", patch("w1", "restart the queue worker"))
    session = space.patches(query="restart the queue worker")
    memory_id = session["results"][0]["memory_id"]
    assert space.report(session, success=True, contribution=0.5, used=[memory_id])["returned"] == 0.5
    again = space.report(session, success=True, contribution=0.5, used=[memory_id])
    assert (again["updated"], again["duplicate"]) == (False, True)
    [of] = [one for one in space.server.get("/v1/sessions")["origins"] if one["origin"] == "wf-1"]
    assert (of["what"], of["sessions"], of["mean_return"]) == ("workflows", 1.0, pytest.approx(0.5 / 3, abs=1e-4))


def test_an_outcome_of_no_session_is_told_so(space: Space) -> None:
    told = space.report({"session_id": "se_" + "0" * 32}, success=True)
    assert not told["updated"]
    assert "never begun" in told["reason"]


def test_origins_that_returned_more_are_ranked_higher(space: Space) -> None:
    space.keep("good-bot", patch("g", "clear the build cache now"))
    space.keep("bad-bot", patch("b", "clear the build cache now!"))
    ids = {one["origin"]: one["memory_id"] for one in space.patches(query="clear the build cache")["results"]}
    for _ in range(8):
        session = space.patches(query="clear the build cache")
        space.report(session, success=True, used=[ids["good-bot"]])
        session = space.patches(query="clear the build cache")
        space.report(session, success=False, used=[ids["bad-bot"]])
    told = space.context(goal="clear the build cache")["context"]["patches"]
    assert [one["origin"] for one in told] == ["good-bot", "bad-bot"]


def test_what_sessions_returned_is_there_after_a_restart(serve: Serve) -> None:
    first = serve(withheld_share=0.0)
    one = Space(first, "again")
    one.keep("wiki", patch("p"))
    session = one.patches(query="retry the flaky upload")
    one.report(session, success=True)
    before = first.get("/v1/sessions")
    first.stop()
    again = serve(withheld_share=0.0)
    assert again.get("/v1/sessions") == before
    assert Space(again, "again").report(session, success=True)["duplicate"]


def test_a_small_share_is_withheld_and_what_comes_of_it_says_what_a_memory_is_worth(serve: Serve) -> None:
    one = Space(serve(withheld_share=0.2), "drawn")
    one.keep("wiki", patch("p"))
    for _ in range(60):
        session = one.patches(query="retry the flaky upload")
        one.report(session, success=bool(session["results"]))
    fold = one.server.service.learner.state.of("default")
    [worth] = fold.worth.items.values()
    assert worth.contrast.withheld.n > 3
    assert worth.contrast.offered.n > 30
    assert worth.contrast.difference == 1.0


def test_only_what_found_room_was_offered_and_only_what_would_have_found_it_was_withheld(serve: Serve) -> None:
    one = Space(serve(withheld_share=0.2), "room")
    one.keep("wiki", *[{"key": f"{n}.md", "text": f"mend roof {n} " + "of the old barn " * 9 * n} for n in range(1, 9)])
    sessions = [one.context(goal="mend roof", min_similarity=-1, token_budget=250) for _ in range(40)]
    began, shown, withheld = one.server.service.learner.state.of("default").sessions.open, set[int](), set[int]()
    for told in sessions:
        ids = {entry["memory_id"] for entry in told["context"].get("documents", [])}
        offered = began[told["session_id"]].offered
        assert {of.episode_id for of in offered if not of.withheld} == ids
        shown |= ids
        withheld |= {of.episode_id for of in offered if of.withheld}
    assert len(shown) < 8, "some never find room"
    assert withheld
    assert withheld <= shown


def test_what_safety_keeps_out_hides_nothing_that_may_be_told(space: Space) -> None:
    denied = [patch(f"g{n}", f"retry the flaky upload of shard {n} with a pause", license="GPL-3.0") for n in range(60)]
    space.keep("bots", *denied, patch("fine", "wait a moment, then try the upload again", license="MIT"))
    safety = {"license_denylist": ["GPL-3.0"]}
    asked = "retry the flaky upload with a pause"
    found = space.patches(query=asked, safety=safety)
    assert [one["key"] for one in found["results"]] == ["fine"]
    assert found["filtered"] == {"license": 60}
    told = space.context(goal=asked, k=5, safety=safety)
    assert [one["key"] for one in told["context"]["patches"]] == ["fine"]


def test_a_document_is_one_memory_however_many_of_its_parts_are_near_and_a_kind_counts_once(space: Space) -> None:
    parts = [f"# Registry {n}\n\nPush image {n} to the registry." + " Then wait for the scan." * 40 for n in range(6)]
    space.keep("wiki", {"key": "long.md", "text": "\n\n".join(parts)})
    asked = {"goal": "push the image to the registry", "min_similarity": 0}
    once = space.context(**asked, kinds=["document"])
    assert [of["memories"] for of in once["origins"]] == [1]
    twice = space.context(**asked, kinds=["document", "document"])
    assert {**twice, "session_id": ""} == {**once, "session_id": ""}


def test_a_figure_of_safety_counts_where_it_is_stated_as_a_text_too(space: Space) -> None:
    space.capture(goal="mend the roof of the barn", custom={"semantic_alerts": "7", "alignment_severity": "0.9"})
    space.capture(goal="mend the door of the barn", custom={"semantic_alerts": "few", "alignment_severity": "nan"})
    for bound, name in ({"max_alerts": 0}, "semantic_alerts"), ({"max_alignment_severity": 0.5}, "alignment_severity"):
        found = space.context(goal="mend the barn", min_similarity=0, safety=bound)
        assert found["filtered"] == {name: 1}
        assert ["door" in one["text"] for one in found["context"]["episodes"]] == [True]
