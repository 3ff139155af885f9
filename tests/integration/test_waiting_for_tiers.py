"""The gate's second head: which tier reflects on the best match, within the time that the caller waits."""

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from controlplane.contract import DecisionRequest
from controlplane.llm.answer_times import AnswerTimes
from controlplane.tenants.registry import LOCAL

from ..deciding import decisions_taken_again
from .asked_model import INSIGHT, Json, Provider, chosen_for, said
from .conftest import Running, chosen

EXPECTED = {"cheap": 200.0, "premium": 20000.0}
SHORT, LONG, LONGEST = 200, 10_000, 30_000  # ms: too short for a model that is slow, for a premium one, for none
LIMIT = {"scope": "tenant", "tenant": "default", "period": "month", "why": "to try"}


class Apart(Running):
    """A server whose tests keep apart by namespace."""

    namespace = ""


@pytest.fixture(scope="module")
def running(process: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    with begun(process, tmp_path_factory.mktemp("waiting")) as server:
        yield server


@pytest.fixture
def server(running: Apart, provider: Provider, request: pytest.FixtureRequest) -> Iterator[Apart]:
    """One for the whole file, that has measured nothing yet and has no limit."""
    running.namespace = request.node.name
    running.service.reflects.times = AnswerTimes(EXPECTED)
    yield running
    limited(running, None)


@pytest.fixture
def own(process: str, provider: Provider, tmp_path: Path) -> Iterator[Apart]:
    """One of its own, for a test that stops it or teaches it something."""
    with begun(process, tmp_path) as server:
        yield server


@contextmanager
def begun(process: str, folder: Path) -> Iterator[Apart]:
    """What captures owe is left undone, so that only decisions ask."""
    settings = chosen_for(process, folder)
    expected = "".join(f"{tier} = {ms:.0f}\n" for tier, ms in EXPECTED.items())
    catalogue = Path(settings["catalogue"])
    catalogue.write_text(f"[answer_ms]\n{expected}{catalogue.read_text('utf-8')}", "utf-8")
    with Apart(chosen(folder / "data", **settings)) as server:
        server.run(let_jobs_wait())
        yield server


async def let_jobs_wait() -> None:
    [loop] = [task for task in asyncio.all_tasks() if task.get_name() == "reflections"]
    loop.cancel()


def failed(server: Apart, n: str = "one", **fields: Any) -> Json:
    """A plan that failed once."""
    plan = {"goal": f"deploy {n}", "planned_action": f"kubectl apply -f {n}.yaml", "namespace": server.namespace}
    server.capture(**plan, error_trace="Error: ImagePullBackOff", **fields)
    return plan


def asked(server: Running, plan: Json, wait_ms: int = 0, **fields: Any) -> Json:
    """The plan again."""
    answer = server.gate(**plan, wait_ms=wait_ms, **fields)
    assert answer["action"] != "PROCEED"
    return answer


def shown(server: Running, answer: Json) -> Json:
    found: Json = server.get(f"/v1/decisions/{answer['trace_id']}")
    return found


def masked(server: Running, answer: Json) -> Json:
    """Of the second head."""
    found: Json = shown(server, answer)["heads"][1]["masked"]
    return found


def limited(server: Running, usd: float | None) -> None:
    assert server.client.put("/v1/admin/budget", json={**LIMIT, "limit_usd": usd}).status_code == 200


def test_who_waits_for_nothing_asks_nobody(server: Apart, provider: Provider) -> None:
    answer = asked(server, failed(server))
    assert (answer["tier"], answer["reflection"]["status"], answer["reflection"]["tier"]) == (None, "ready", None)
    assert answer["propensities"].keys() == {"verdict"}
    assert provider.calls == []


def test_a_model_that_answers_in_time_is_in_the_answer(server: Apart, provider: Provider) -> None:
    answer = asked(server, failed(server), LONG)
    told = answer["reflection"]
    assert (answer["tier"], told["status"], told["tier"]) == ("cheap", "ready", "cheap")
    assert told["root_cause"] == INSIGHT["root_cause"]
    assert told["cost_usd"] == pytest.approx(provider.billed_usd)
    assert answer["propensities"].keys() == {"verdict", "tier"}
    assert masked(server, answer) == {
        "cached": "no similar failure of this class has a reflection",
        "premium": "it takes 20000 ms, and 10000 may be waited",
    }
    trace = shown(server, answer)
    assert trace["reflection"]["trace_id"] == answer["trace_id"]
    assert trace["lesson"]["reflection_id"] == told["id"]
    assert trace["lesson"]["nano_usd"] / 1e9 == pytest.approx(provider.billed_usd)


def test_the_second_time_it_is_stored_and_takes_no_time(server: Apart, provider: Provider) -> None:
    plan = failed(server)
    first = asked(server, plan, LONG)
    again = asked(server, plan)
    assert (again["tier"], again["reflection"]["id"]) == ("cached", first["reflection"]["id"])
    like = asked(server, {**plan, "goal": "deploy one!"}, LONGEST)
    assert masked(server, like) == dict.fromkeys(("cheap", "premium"), "it has a reflection of its own")
    assert len(provider.calls) == 1


def test_the_stored_reflection_of_a_similar_failure_is_shown(server: Apart, provider: Provider) -> None:
    first = asked(server, failed(server, error_class="pull"), LONG)
    plan = failed(server, error_class="pull", environment={"stage": "prod"})
    answer = asked(server, plan, environment={"stage": "prod"})
    assert answer["supporting_episodes"][0]["episode_id"] != shown(server, first)["cited"][0]
    assert (answer["tier"], answer["reflection"]["id"]) == ("cached", first["reflection"]["id"])
    assert len(provider.calls) == 1


def test_a_model_that_is_late_answers_all_the_same_and_the_trace_shows_it(server: Apart, provider: Provider) -> None:
    provider.script(otherwise={"text": said(), "latency_s": 0.6})
    plan = failed(server)
    answer = asked(server, plan, SHORT)
    told = answer["reflection"]
    assert (answer["tier"], told["status"], told["tier"]) == ("cheap", "pending", "cheap")
    assert told["root_cause"] == "Error: ImagePullBackOff"
    assert shown(server, answer)["reflection"] is None
    assert shown(server, answer)["lesson"]["nano_usd"] > 0, "what it may cost"
    server.until(lambda: shown(server, answer)["reflection"])
    assert shown(server, answer)["reflection"]["reflection_id"] == told["id"]
    why = server.get(f"/v1/decisions/{answer['trace_id']}/why")["sentences"]
    assert f"Reflection {told['id']} is there (cheap)." in why
    later = asked(server, plan, SHORT)
    assert (later["tier"], later["reflection"]["id"]) == ("cached", told["id"])
    slow = asked(server, failed(server, "another thing"), SHORT)
    assert slow["tier"] is None, "it lately took longer than may be waited"


def test_a_failure_that_is_being_reflected_on_is_not_asked_about_twice(server: Apart, provider: Provider) -> None:
    provider.script(otherwise={"text": said(), "latency_s": 0.6})
    plan = failed(server)
    first, second = asked(server, plan, SHORT), asked(server, plan, SHORT)
    assert (first["tier"], second["tier"]) == ("cheap", None)
    server.until(lambda: shown(server, first)["reflection"])
    assert len(provider.calls) == 1


def test_decisions_of_one_moment_on_one_failure_ask_once(server: Apart, provider: Provider) -> None:
    """They are embedded together, so each of them finds that nobody is asked yet."""
    plan = failed(server)
    waiting = DecisionRequest(**plan, wait_ms=LONG)

    async def crowd() -> list[Any]:
        plane, caller = server.service.plane, LOCAL
        return await asyncio.gather(*[plane.decide(caller, waiting) for _ in range(8)])

    answers = server.run(crowd())
    assert len(provider.calls) == 1
    assert sum(answer.reflection.tier == "cheap" for answer in answers) == 1
    assert {answer.reflection.status for answer in answers} == {"ready"}


@pytest.mark.parametrize("then", [{"status": 503}, {"text": "All is well."}, {"text": said(), "fault": "cut"}])
def test_a_model_that_fails_does_not_fail_the_decision(server: Apart, provider: Provider, then: Json) -> None:
    provider.script(otherwise=then)
    answer = asked(server, failed(server), LONG)
    told = answer["reflection"]
    assert answer["tier"] == "cheap"
    assert (told["status"], told["tier"], told["root_cause"]) == ("ready", None, "Error: ImagePullBackOff")
    assert shown(server, answer)["lesson"] is None
    assert not server.service.learner.state.ledger.held


def test_an_empty_purse_asks_nobody(server: Apart, provider: Provider) -> None:
    plan = failed(server)
    limited(server, 0.0)
    answer = asked(server, plan, LONG)
    assert (answer["tier"], answer["reflection"]["status"]) == (None, "ready")
    assert provider.calls == []


def test_a_caller_that_goes_away_leaves_the_reflection_to_be_made(server: Apart, provider: Provider) -> None:
    provider.script(otherwise={"text": said(), "latency_s": 0.5})
    plan = failed(server)

    async def leave() -> None:
        async with httpx.AsyncClient(base_url=server.url) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/v1/decisions", json={**plan, "wait_ms": LONG}, timeout=0.2)

    asyncio.run(leave())
    memory = server.service.memory
    server.until(lambda: memory.reflections)
    server.until(lambda: server.service.intake.under_way == 0)
    assert len(provider.calls) == 1


def test_what_is_purged_while_a_model_is_waited_for_is_quoted_nowhere(
    own: Apart, provider: Provider, tmp_path: Path
) -> None:
    provider.script(otherwise={"text": said(root_cause="canary-4711"), "latency_s": 0.6})
    plan = failed(own, resolution="echo canary-4711")
    [episode_id] = own.service.memory.space("default", "").episodes

    with ThreadPoolExecutor(1) as other:
        deciding = other.submit(asked, own, plan, LONG)
        own.until(lambda: provider.calls)
        assert own.client.delete(f"/v1/episodes/{episode_id}").status_code == 204
        answer = deciding.result()
    assert (answer["tier"], answer["supporting_episodes"], answer["reflection"]["status"]) == ("cheap", [], "none")
    own.stop()
    written = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert b"canary-4711" not in written


def test_a_stop_waits_for_what_is_being_made(own: Apart, provider: Provider, tmp_path: Path) -> None:
    provider.script(otherwise={"text": said(), "latency_s": 0.6})
    answer = asked(own, failed(own), SHORT)
    own.stop()
    with Running(chosen(tmp_path / "data", **server_settings(own))) as again:
        assert shown(again, answer)["reflection"]["reflection_id"] == answer["reflection"]["id"]


def server_settings(server: Running) -> Json:
    return {name: getattr(server.settings, name) for name in ("openai_base_url", "catalogue")}


def test_both_heads_are_learnt_from_one_report_and_what_the_answer_cost_is_counted(own: Apart) -> None:
    """The tier took the reward, 0.98 less the cost, of which what one try may cost was known beforehand and is added
    to what was learnt; the verdict took what the best eligible tier is worth by then."""
    answer = asked(own, failed(own), LONG)
    outcome = {"success": True, "applied_suggestion": True, "terminal": True}
    learnt = own.post("/v1/feedback", {"trace_id": answer["trace_id"], "outcome": outcome})
    cost = answer["reflection"]["cost_usd"]
    assert learnt["updated"]
    assert learnt["reward"] == pytest.approx(0.98 - cost, abs=1e-6)
    verdict, tier = shown(own, answer)["heads"]
    policy = own.service.learner.state.of("default").policies["gate"]
    cells = {(key, action): value for key, action, value, _ in policy.table.cells()}
    finest = tier["state"]["chains"][0][-1]
    assert finest.startswith(f"verdict={verdict['action']}>")
    assert tier["known"][0] < -cost
    assert cells[finest, "cheap"] + tier["known"][0] == pytest.approx(0.98 - cost, abs=1e-6)
    assert cells[verdict["state"]["chains"][0][-1], verdict["action"]] == pytest.approx(0.98 - cost, abs=1e-6)


def test_of_tiers_of_which_nothing_is_known_the_cheapest_is_asked(server: Apart, provider: Provider) -> None:
    """What a try costs is computed with, not learnt."""
    for n in range(4):
        assert asked(server, failed(server, f"{n} {n} {n}"), LONGEST)["tier"] in ("cheap", "cached")
    assert {call["body"]["model"] for call in provider.calls} == {"m-cheap"}


def test_several_readings_come_in_time_where_they_are_worth_more(own: Apart, provider: Provider) -> None:
    policy = own.service.learner.state.of("default").policies["gate"]
    first = asked(own, failed(own), LONGEST)
    for chain in shown(own, first)["heads"][1]["state"]["chains"]:
        policy.table.put(chain[0], "premium", 0.9, visits=50)
    answer = asked(own, failed(own, "something else"), LONGEST)
    assert (answer["tier"], answer["reflection"]["status"]) == ("premium", "ready")
    assert len(provider.calls) == 5


def test_decisions_of_both_heads_and_of_captures_are_taken_again_as_they_were(
    own: Apart, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    for n in range(12):
        plan = failed(own, f"{n % 5} {n % 5}", severity=rng.random(), environment={"n": n})
        answer = own.gate(**plan, wait_ms=rng.choice((0, LONG)), task_id=f"task-{n % 3}")
        outcome = {"success": rng.random() < 0.5, "applied_suggestion": rng.random() < 0.7}
        own.post("/v1/feedback", {"trace_id": answer["trace_id"], "outcome": outcome})
    counts = {point: of["decisions"] for point, of in own.get("/status")["points"].items()}
    own.stop()
    assert min(counts["capture"], counts["gate"]) >= 12
    assert asyncio.run(decisions_taken_again(tmp_path / "data" / "journal.db")) == counts["capture"] + counts["gate"]
