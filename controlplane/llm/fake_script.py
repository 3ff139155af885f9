"""What the fake provider is told to do: rules over calls, each with a behaviour, and prices."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Fault = Literal[
    "garbage",
    "wrong_schema",
    "duplicate_choices",
    "huge",
    "huge_head",
    "gzip_bomb",
    "endless",
    "drip",
    "stall",
    "cut",
    "no_done",
    "error_inside",
    "hang",
    "reset",
]
UNBILLED = {"hang", "error_inside"}  # every other fault comes after the work was done
Count = Annotated[int, Meta(ge=0)]


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Unknown fields are refused: a misspelt fault would be none."""


class Behaviour(Told, frozen=True, kw_only=True):
    """How a call is answered. Without any field: 200 and a short text."""

    text: str = "All is well."
    echo: bool = False  # answer with the last user message instead
    tool_calls: list[dict[str, Any]] = []
    finish_reason: str | None = None
    latency_s: Annotated[float, Meta(ge=0)] = 0.0
    between_s: Annotated[float, Meta(ge=0)] = 0.0  # pause between the chunks of a stream
    status: Annotated[int, Meta(ge=100, le=599)] = 200
    headers: dict[str, str] = {}
    error: dict[str, Any] = {}  # the body's error, with a status that is not 200 or inside one
    fault: Fault | None = None
    model: str | None = None  # says it is another than asked
    usage: Any = msgspec.UNSET  # told instead of the true one; null leaves it out
    prompt_tokens: Count | None = None  # unset: the words of all messages
    completion_tokens: Count | None = None  # unset: the words of the answer
    billed: bool | None = None  # unset: whenever work was done


class Rule(Told, frozen=True, kw_only=True):
    """Which calls are answered so: those whose last user message is, or holds, and of a model. `times` uses it up."""

    message: str | None = None
    contains: str | None = None
    model: str | None = None
    times: Count | None = None
    then: Behaviour = Behaviour()


class Script(Told, frozen=True, kw_only=True):
    """Rules, of which the first that fits counts; prices in nano-USD a token."""

    rules: list[Rule] = []
    otherwise: Behaviour = Behaviour()
    prompt_nano_usd: Count = 0
    completion_nano_usd: Count = 0
    tell_cost: bool = False  # as OpenRouter does, in `usage.cost`


class Bill(msgspec.Struct):
    """What was asked and billed since the script was set."""

    calls: int = 0
    billed_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    billed_nano_usd: int = 0


class Playing:
    """A script being played: which rules are used up, and the bill."""

    def __init__(self, script: Script) -> None:
        self.script, self.bill = script, Bill()
        self._left = {place: rule.times for place, rule in enumerate(script.rules) if rule.times is not None}
        self._exact = dict[str, list[int]]()  # thousands of recorded answers are found without a search
        self._other = list[int]()
        for place, rule in enumerate(script.rules):
            (self._other if rule.message is None else self._exact.setdefault(rule.message, [])).append(place)

    def behaviour(self, message: str, model: str) -> Behaviour:
        """How this call is answered."""
        places: list[int] = sorted((*self._exact.get(message, ()), *self._other))
        for place in places:
            rule = self.script.rules[place]
            if self._left.get(place) != 0 and _fits(rule, message, model):
                if place in self._left:
                    self._left[place] = (self._left[place] or 0) - 1
                return rule.then
        return self.script.otherwise

    def charge(self, behaviour: Behaviour, prompt: int, completion: int) -> int:
        """Bill a call, where it is one that is billed; what it costs, in nano-USD."""
        cost = prompt * self.script.prompt_nano_usd + completion * self.script.completion_nano_usd
        self.bill.calls += 1
        worked = behaviour.status == 200 and behaviour.fault not in UNBILLED
        if worked if behaviour.billed is None else behaviour.billed:
            self.bill.billed_calls += 1
            self.bill.prompt_tokens += prompt
            self.bill.completion_tokens += completion
            self.bill.billed_nano_usd += cost
        return cost


def _fits(rule: Rule, message: str, model: str) -> bool:
    holds = rule.contains is None or rule.contains in message
    return holds and rule.model in (None, model)
