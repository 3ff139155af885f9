"""Memories are withheld by chance where little is at risk; what harms is hardly told of; failed advice is a risk."""

from typing import Any

import pytest

from .conftest import Json, Running, Serve

ASKED = {"goal": "ship the shop", "planned_action": "make ship"}
FIX = "make ship-the-other-way"


def remembered(server: Running, **more: Any) -> int:
    """A plan that mostly works, and one failure of it."""
    for _ in range(4):
        server.feedback(server.gate(**ASKED)["trace_id"], success=True)
    return int(server.capture(**ASKED, error_trace="Error: no route", **more)["episode_id"])


def asked(server: Running, times: int) -> list[tuple[Json, Json]]:
    """(answer, trace) of so many decisions, none of which is reported on."""
    answers = [server.gate(**ASKED) for _ in range(times)]
    return [(answer, server.get(f"/v1/decisions/{answer['trace_id']}")) for answer in answers]


@pytest.fixture
def curious(serve: Serve) -> Running:
    return serve(withheld_share=0.2)


def test_memory_that_is_withheld_is_as_if_it_were_not_remembered(curious: Running) -> None:
    episode_id = remembered(curious)
    made = asked(curious, 40)
    for answer, trace in made:
        [drawn] = trace["offered"]
        assert (drawn["episode_id"], drawn["probability"], drawn["origin"]) == (episode_id, 0.2, "agents")
        known = [near["episode_id"] for near in trace["execution"]["neighbours"]]
        assert known == ([] if drawn["withheld"] else [episode_id])
        assert (answer["evidence"], trace["facts"]["support"]) == ((4, 0) if drawn["withheld"] else (5, 1))
    assert 0 < sum(trace["offered"][0]["withheld"] for _, trace in made) < 20


def test_why_tells_what_was_offered_and_what_was_withheld_with_its_probability(curious: Running) -> None:
    episode_id = remembered(curious)
    said = {
        trace["offered"][0]["withheld"]: curious.get(f"/v1/decisions/{answer['trace_id']}/why")["sentences"]
        for answer, trace in asked(curious, 30)
    }
    withheld = "withheld, as if it were not remembered"
    for was, what in ((True, withheld), (False, "offered")):
        assert f"Episode {episode_id} was {what} (probability of withholding it 0.20)." in said[was]


def test_other_draws_do_not_depend_on_what_is_withheld(serve: Serve, tmp_path: Any) -> None:
    drawn = []
    for share in (0.0, 0.2):
        server = serve(withheld_share=share, data_dir=str(tmp_path / str(share)))
        remembered(server)
        drawn.append([trace["heads"][0]["draw"] for _, trace in asked(server, 10)])
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("chosen", [{"withheld_share": 0.0}, {"audit_ceiling": 0.0}, {"gate_mode": "frozen"}])
def test_nothing_is_withheld_where_that_is_not_wanted_or_too_much_is_at_risk(serve: Serve, chosen: Json) -> None:
    server = serve(**{"withheld_share": 0.2} | chosen)
    remembered(server)
    assert [trace["offered"] for _, trace in asked(server, 10)] == [[]] * 10


def test_memory_that_harms_is_told_of_in_a_small_share_alone_and_may_come_back(curious: Running) -> None:
    episode_id = remembered(curious, resolution=FIX)

    def goes_on(times: int, *, works_with: bool) -> str:
        for answer, trace in asked(curious, times):
            withheld = bool(trace["offered"]) and trace["offered"][0]["withheld"]
            curious.feedback(answer["trace_id"], success=works_with != withheld, terminal=True, executed=True)
        return str(curious.get(f"/v1/episodes/{episode_id}")["worth"]["status"])

    while goes_on(20, works_with=False) != "harms":
        assert curious.get(f"/v1/episodes/{episode_id}")["worth"]["offered"] < 300
    told = [(answer, trace["offered"]) for answer, trace in asked(curious, 40)]
    for answer, offered in told:
        quoted = FIX in str(answer["hints"]) or bool(answer["supporting_episodes"])
        assert not quoted or [(o["probability"], o["withheld"]) for o in offered] == [(0.8, False)]
    assert sum(bool(offered) and not offered[0]["withheld"] for _, offered in told) < 20
    for _ in range(40):
        if goes_on(20, works_with=True) != "harms":
            break
    assert curious.get(f"/v1/episodes/{episode_id}")["worth"]["status"] != "harms"


@pytest.mark.parametrize("way", ["feedback", "validation"])
def test_fix_that_failed_raises_the_risk_of_commands_like_it_until_it_works(serve: Serve, way: str) -> None:
    server = serve(gate_mode="apprentice", apprentice_share=0.0)
    episode_id = server.capture(**ASKED, error_trace="Error: no route", resolution=FIX)["episode_id"]

    def runs(*, works: bool) -> Json:
        """The answer about a command like the fix, once that was run."""
        answer = server.gate(**ASKED)
        assert answer["reflection"]["resolution"] == FIX
        if way == "feedback":
            server.feedback(answer["trace_id"], success=works, applied_suggestion=True)
        else:
            told = {"episode_id": episode_id, "trace_id": answer["trace_id"]}
            server.post("/v1/validate_fix", told | {"outcome": "success" if works else "failure"})
        return server.gate(planned_action=f"{FIX} now")

    untried = server.gate(planned_action=f"{FIX} now")
    failed = runs(works=False)
    assert (untried["evidence"], failed["evidence"]) == (0, 1)
    assert failed["risk"] > untried["risk"]
    assert runs(works=True)["risk"] < failed["risk"]


def test_origin_whose_fix_failed_ranks_behind_another_one(server: Running) -> None:
    space = {"namespace": "origins", "goal": "ship it", "planned_action": "make ship"}
    liar, friend = (
        server.capture(**space, origin=of, error_trace=f"Error of {of}", resolution=f"mend as {of}")["episode_id"]
        for of in ("liar", "friend")
    )
    other = server.capture(**space | {"goal": "ship another"}, origin="liar", resolution="mend again")["episode_id"]
    server.post("/v1/validate_fix", {"episode_id": other, "outcome": "failure"})
    found = {
        result["episode_id"]: result
        for result in server.post("/v1/search", {"goal": "ship it", "namespace": "origins"})["results"]
    }
    assert found[liar]["scores"]["worth"] == found[friend]["scores"]["worth"] == 0.5
    assert found[liar]["scores"]["origin"] == pytest.approx(1 / 3, abs=1e-3)
    assert found[liar]["score"] < found[friend]["score"]
