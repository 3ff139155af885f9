"""One seed from beginning to end: clients, operators, and somebody who breaks things; then everything is compared.

In `safety` faults go on to the end. In `liveness` they stop, and from then on every call is answered in time.
"""

import asyncio
import contextlib
import os
import random
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, Literal

import msgspec

from auditor.receipts import REPEATABLE_S
from controlplane.errors import JournalUnavailable, StorageFull
from controlplane.outbox import LONGEST_PAUSE_S

from . import oracles, stories
from .ledger import Entry, Ledger, steady
from .loop import SimulatedLoop
from .operations import OTHERWISE, TENANTS, Call, Draw, Known, drawn
from .process import heard, uncollected
from .reflecting import Reflecting
from .spending import Spending
from .store import CrashingJournal
from .world import DRIVER, MakeJournal, World

Mode = Literal["safety", "liveness"]
CLIENTS = 6
THINK_S = (0.0, 0.0, 0.0, 0.003, 0.02, 0.1, 0.5)
STORIES, CROWDS = 0.04, 0.1  # share of seeds with a longer story, and with many keys at work
PAUSE_S, PAUSES = (10.0, 40.0), 0.01
GONE_S = (0.0, 0.0, 0.0005, 0.002, 0.01, 0.1)
BREAK_EVERY_S = 6.0
TROUBLE_S = (0.05, 0.5, 4.0)
CLOCK_S = (-86_400.0, -3600.0, -1.0, 1.0, 86_400.0, 2.0**31 - 1_800_000_000.0)  # by which it is set; the last: to 2038
HOURS, HEALED_S = 5, 30.0  # within which all alarms are told; after which it was said that a thing is over
CALM_S = 5.0  # within which everything is answered, and learnt, once faults have stopped
MEMORY = Path("/dev/shm")
NO_MONEY = "USD left"  # what is said where the purse has no room: such work waits for another period


DERIVED = ("POST /v1/capture", "POST /v1/skills/{skill_id:int}/retire")  # made anew each time they come again
CHAT = "POST /v1/chat/completions"
HALF_DONE = {  # refusals after which there may be an event
    *((CHAT, status) for status in (400, 402, 502, 503, 504, 507)),  # decided, and not held, or the provider failed
    ("DELETE /v1/episodes/{episode_id:int}", 503),  # deleted, and its content not overwritten yet
    ("DELETE /v1/episodes/{episode_id:int}", 507),
    ("DELETE /v1/reflections/{reflection_id:str}", 503),  # the same
    ("DELETE /v1/reflections/{reflection_id:str}", 507),
    ("DELETE /v1/documents", 503),  # the same
    ("DELETE /v1/documents", 507),
    ("POST /v1/skills/{skill_id:int}/retire", 404),  # a restore that came first unlearnt the skill
}


class Result(msgspec.Struct, frozen=True):
    """What a run was, and what was wrong with it."""

    seed: int
    operations: int
    mode: Mode
    trace: str
    wrong: list[str]
    counts: dict[str, int]


class Sent(msgspec.Struct):
    """A call under a key of its own, to be sent again."""

    call: Call
    key: str
    entry: Entry
    at: float


class Run:
    """The people around the server."""

    def __init__(self, world: World, operations: int, mode: Mode) -> None:
        self.world, self.rng, self.mode, self.left = world, world.rng, mode, operations
        self.ledger, self.limits = Ledger(), oracles.Limits()
        self.known = {tenant: Known() for tenant in TENANTS}
        self.spending, self.reflecting = Spending(world), Reflecting(world, self.known)
        self.admin, self.numbers = "", 0
        self.keyed: list[Sent] = []
        self.revoked: set[str] = set()
        self.over = self.calm = False
        self.others = 0.1  # share of calls that are sent with another key than the tenant's first
        self.repeating = 0  # calls that are being sent again
        self.counts: dict[str, int] = {}

    async def everything(self) -> None:
        """The whole run."""
        await self._begin()
        breaking, story = self._driver(self._break()), self._driver(self._story())
        beside = [self._driver(self._spend()), self._driver(self._reflect())]
        await self._work()
        await story
        self.over = True
        await breaking
        await asyncio.gather(*beside)
        self.world.faults.over()
        if self.mode == "liveness":
            await self._calm()
        else:
            await self.world.crash()
        await self._settle()
        self.world.wrong += await oracles.settled(self.world, self.ledger, self.limits)
        self.world.wrong += await self.spending.wrong() + await self.reflecting.wrong()
        await self._end()

    async def _begin(self) -> None:
        """The first start, its keys, the tenants; nothing fails yet."""
        world, share = self.world, self.world.faults.share
        world.faults.share = 0.0
        await world.start()
        first = world.service.first_keys
        assert first is not None
        self.admin, self.known["default"].key = first.admin, first.tenant
        for tenant, tiers in TENANTS.items():
            if tenant != "default":
                await self._asked("POST /v1/admin/tenants", {"tenant": tenant, "tier": tiers[0], "fail_mode": "closed"})
                made = await self._asked("POST /v1/admin/keys", {"tenant": tenant, "name": "first"})
                self.known[tenant].key = made["key"]
        if self.rng.random() < CROWDS:
            self.others = 0.5
            for name in "abcde":
                self.known["default"].keys.append(
                    await self._asked("POST /v1/admin/keys", {"tenant": "default", "name": name})
                )
        self.begun_with = [
            oracles.EFFECTS[type(r.event)](r.event) for r in await world.journal.read_access(0, 100) if r.event.by
        ]
        self.ledger.entries += [Entry(effects=(effect,), told=True) for effect in self.begun_with]
        world.faults.share = share

    async def _asked(self, route: str, body: Any) -> Any:
        answer = await self.world.ask(route, route.partition(" ")[2], {"X-Admin-API-Key": self.admin}, body)
        assert answer is not None
        assert answer.status < 300, answer
        return answer.json

    async def _story(self) -> None:
        if self.rng.random() < STORIES:
            await stories.drift(self._draw, self._tell)

    async def _spend(self) -> None:
        while not self.over:
            await self.spending.one()

    async def _reflect(self) -> None:
        while not self.over:
            await self.reflecting.one()

    async def _work(self) -> None:
        """All clients at once, until nothing is left to do."""
        clients = [self._driver(self._client()) for _ in range(CLIENTS)]
        await asyncio.gather(*clients)

    async def _client(self) -> None:
        while self.left > 0:
            self.left -= 1
            await asyncio.sleep(self.rng.choice(PAUSE_S) if self.rng.random() < PAUSES else self.rng.choice(THINK_S))
            if self.rng.random() < 0.01:
                await asyncio.gather(*(self._driver(self._next()) for _ in range(25)))
            else:
                await self._next()

    def _driver(self, work: Any) -> "asyncio.Task[None]":
        return asyncio.create_task(work, name=f"{DRIVER} client")

    async def _next(self) -> None:
        """A call, or one that was sent before under its key; nobody hears of one sent to a server that is down."""
        await self.world.up.wait()
        if self.keyed and self.rng.random() < 0.1:
            await self._again(self.rng.choice(self.keyed[-20:]))
            return
        self.numbers += 1
        call, key = drawn(self.rng, self.known, self.numbers), None
        entry = self._entered(call)
        if oracles.BY_NAME[call.route].keyed and self.rng.random() < 0.3:
            key = f"key-{self.numbers}"
            self.keyed.append(Sent(call, key, entry, self.world.clock.now()))
        await self._send(call, entry, key)

    def _draw(self) -> Draw:
        self.numbers += 1
        return Draw(self.rng, self.known, self.numbers)

    def _entered(self, call: Call) -> Entry:
        self.ledger.entries.append(Entry(effects=call.effects))
        return self.ledger.entries[-1]

    async def _tell(self, call: Call) -> Any:
        """Send it once the server is up; what was answered, None if it was refused."""
        await self.world.up.wait()
        entry = self._entered(call)
        await self._send(call, entry, None)
        return entry.told

    async def _again(self, sent: Sent) -> None:
        """Send it again: the same, or (when it is done) something else under its key, which is refused."""
        if abs(self.world.clock.now() - sent.at) > REPEATABLE_S / 2:
            self.keyed.remove(sent)
            return
        self.repeating += 1
        if sent.entry.told is not None and sent.call.body and self.rng.random() < 0.2:
            other = msgspec.structs.replace(
                sent.call, body={**sent.call.body, **OTHERWISE[sent.call.route]}, effects=()
            )
            await self._send(other, Entry(effects=()), sent.key)
        else:
            await self._send(sent.call, sent.entry, sent.key)
        self.repeating -= 1

    async def _send(self, call: Call, entry: Entry, key: str | None) -> None:
        world, at = self.world, self.world.loop.time()
        life, headers, ended = world.lives, *self._headers(call)
        headers |= {} if key is None else {"Idempotency-Key": key}
        gone_after = self.rng.choice(GONE_S) if self.rng.random() < 0.05 else None
        answer = await world.ask(call.route, call.path, headers, call.body, gone_after)
        self._count("unheard" if answer is None else str(answer.status))
        if answer is None:
            entry.unheard = True
            return
        world.wrong += oracles.answered(call, answer)
        self.limits.note(life, call, at, answer.status)
        if ended and answer.status != 401:
            world.wrong.append(f"a key that had ended was let in: {call.route} answered {answer.status}")
        if answer.status < 300 and key is not None and not call.effects:
            world.wrong.append(f"{call.route} took something else under a key that was used")
        elif answer.status < 300:
            self._told(call, entry, key, {"trace_id": answer.trace_id} if call.route == CHAT else answer.json)
        elif (call.route, answer.status) in HALF_DONE:
            entry.unheard = True
        if self.calm:
            self._in_time(call, answer.status, world.loop.time() - at)

    def _headers(self, call: Call) -> tuple[dict[str, str], bool]:
        """The key a call is sent with, and whether that one has ended."""
        if not call.tenant:
            return {"X-Admin-API-Key": self.admin}, False
        known = self.known[call.tenant]
        if known.keys and self.rng.random() < self.others:
            text = self.rng.choice(known.keys)["key"]
            return {"X-API-Key": text}, text in self.revoked
        return {"X-API-Key": known.key}, False

    def _told(self, call: Call, entry: Entry, key: str | None, answer: Any) -> None:
        if (
            isinstance(answer, dict)
            and answer.get("trace_id", "") is None
            and call.route in ("POST /v1/decisions", "POST /v1/reflect", CHAT)
        ):
            return  # decided without the journal, as the tenant chose
        if entry.told is not None and call.route not in DERIVED and steady(entry.told) != steady(answer):
            self.world.wrong.append(f"{call.route} was told {answer} and before that {entry.told}")
        if entry.told is None:
            entry.told = answer if answer is not None else True
            if key is None and isinstance(answer, dict) and answer.get("imported") is False:
                entry.effects = ()  # what stood there stands
            if call.route == "POST /v1/capture":
                entry.remembered = call.tenant, answer["episode_id"]
            if call.route == "POST /v1/memory":
                entry.remembered = call.tenant, answer["episode_ids"][0]
            call.learn(answer)
        if call.route.startswith("DELETE /v1/admin/keys"):
            self.revoked.update(k["key"] for k in self.known_keys() if k["key_id"] == call.effects[0][2])

    def known_keys(self) -> list[dict[str, Any]]:
        return [key for known in self.known.values() for key in known.keys]

    def _in_time(self, call: Call, status: int, took: float) -> None:
        if status >= 500:
            self.world.wrong.append(f"liveness: {call.route} answered {status} though nothing fails any more")
        if took > CALM_S:
            self.world.wrong.append(f"liveness: {call.route} took {took:.1f} s")

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    async def _break(self) -> None:
        """Crashes, restarts, trouble with the disk, a clock that is set."""
        while not self.over:
            await asyncio.sleep(self.rng.expovariate(1 / BREAK_EVERY_S))
            what = self.rng.choices(("crash", "restart", "trouble", "clock"), (4, 1, 4, 2))[0]
            self._count(what)
            match what:
                case "crash":
                    await self.world.crash()
                case "restart":
                    await self.world.restart()
                case "trouble":
                    self.world.faults.standing = self.rng.choice((StorageFull, JournalUnavailable))
                    await asyncio.sleep(self.rng.choice(TROUBLE_S))
                    self.world.faults.standing = None
                case "clock" if not self.repeating:  # a key is good for a day, by this clock
                    self.world.clock.set_by(self.rng.choice(CLOCK_S))

    async def _calm(self) -> None:
        """Nothing fails any more: everything is answered in time, and the learner catches up."""
        await asyncio.sleep(CALM_S)
        self.calm, self.left, self.world.receiver.steady = True, CLIENTS * 5, True
        await self._work()
        await asyncio.sleep(CALM_S)
        await self._paid()
        if self.world.service.learner.version != self.world.journal.last_seq:
            self.world.wrong.append("liveness: the learner has not caught up")

    async def _paid(self) -> None:
        """Hours pass until nothing is owed to the world outside."""
        self.world.receiver.steady = True
        for _ in range(HOURS):
            await asyncio.sleep(HEALED_S)
            owed = [job for job in self.world.service.outbox.jobs.open.values() if NO_MONEY not in (job.why or "")]
            if not owed:
                return
            self.world.clock.set_by(LONGEST_PAUSE_S)
        self.world.wrong.append(f"liveness: {owed} is owed though nothing fails any more")

    async def _settle(self) -> None:
        """Until what was asked is done, windows that are over are closed and records are written."""
        await asyncio.sleep(CALM_S)
        await self.world.journal.flush()
        await self.world.service.background.write_recovery()

    async def _end(self) -> None:
        """Stop in order; nothing is left. What starts next has learnt the same."""
        world = self.world
        await world.service.close()
        left = [task.get_name() for task in world.loop.alive if not task.get_name().startswith(DRIVER)]
        if left:
            world.wrong.append(f"I10: {left} run on after the end")
        await world.start()
        world.wrong += await oracles.folded(world)
        await world.service.close()


def simulate(
    seed: int, operations: int, mode: Mode, make_journal: MakeJournal = CrashingJournal, **chosen: Any
) -> Result:
    """Run a seed, under other settings where some are chosen; the same seed gives the same trace."""
    rng = random.Random(seed)
    loop = SimulatedLoop(rng)
    place = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder, heard() as defects, uncollected(), contextlib.closing(loop):
        world = World(loop, rng, Path(folder), make_journal, chosen)
        run = Run(world, operations, mode)
        try:
            loop.run_until_complete(loop.create_task(run.everything(), name=DRIVER))
        except Exception as error:  # a defect that ends the run is one more thing that is wrong with it
            world.wrong.append("the run ended: " + "".join(traceback.format_exception(error)))
        finally:
            loop.run_until_complete(loop.kill(list(loop.alive)))
    wrong = [*world.wrong, *(f"I8: the log says {defect}" for defect in defects)]
    return Result(seed, operations, mode, world.trace, wrong, run.counts | world.receiver.heard)


if __name__ == "__main__":
    seed, operations, mode = sys.argv[1:4]
    result = simulate(int(seed), int(operations), mode)  # type: ignore[arg-type]
    print(result.trace)
    sys.exit("\n".join(result.wrong) or None)
