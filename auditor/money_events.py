"""What calls of language models may cost, held before they are made, and what they cost, as events.

Money is in whole nano-USD (1e-9 USD), so that no sum depends on its order.
"""

from typing import Literal

import msgspec

from .event import Event
from .periods import Period

Tier = Literal["cached", "cheap", "premium"]
Scope = Literal["global", "tenant", "model", "agent", "user"]  # what a limit can be set for
# Where a cost is from: the provider's own word, its count of tokens, the cap that the catalogue states where no price
# is known, or the whole reservation, where nothing usable was said.
Basis = Literal["reported", "usage", "cap", "reservation"]


class Spender(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who spends on what; `agent` and `user` are "" where nobody is named."""

    model: str
    tier: Tier
    purpose: str
    agent: str = ""
    user: str = ""


class Reserved(Event, frozen=True, kw_only=True, tag="reserved"):
    """A call is about to be made that costs so much at most.

    `contested`: other replicas reserve at the same time, so the fold says whether the limits have room for it.
    """

    reservation_id: str
    spender: Spender
    nano_usd: int
    contested: bool = False

    @property
    def ref(self) -> str:
        return self.reservation_id


class Settled(Event, frozen=True, kw_only=True, tag="settled"):
    """What the call cost; `if_cheap` and `if_premium`: what it would have cost on either tier, where that is known."""

    reservation_id: str
    nano_usd: int
    basis: Basis
    if_cheap: int | None = None
    if_premium: int | None = None

    @property
    def ref(self) -> str:
        return self.reservation_id


class Released(Event, frozen=True, kw_only=True, tag="released"):
    """The call was not made, or was certainly not billed."""

    reservation_id: str

    @property
    def ref(self) -> str:
        return self.reservation_id


class Reconciled(Event, frozen=True, kw_only=True, tag="reconciled"):
    """An operator says what a call cost of which the whole reservation was charged."""

    reservation_id: str
    nano_usd: int
    by: str = ""
    why: str

    @property
    def ref(self) -> str:
        return self.reservation_id


class BudgetSet(Event, frozen=True, kw_only=True, tag="budget_set"):
    """An operator set what may be spent in each period, or (None) took the limit away.

    `name` is the model, agent or user; a model's limit and the global one are of all tenants, and have none.
    """

    scope: Scope
    name: str = ""
    period: Period
    nano_usd: int | None
    by: str = ""
    why: str


MoneyEvent = Reserved | Settled | Released | Reconciled | BudgetSet
