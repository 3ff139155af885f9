"""What memories are worth: how much more often decisions succeed that are offered one than those it is withheld from.

A memory is withheld at random and the probability is logged, so the two differ by nothing else on average, whatever the
verdict was (intention to treat). An outcome counts by 1 / the probability with which it was offered, or withheld.
"""

from math import log, sqrt
from typing import Literal, NamedTuple, Self

import msgspec

from .changes import Change, MemoryKind
from .trace import Offered

Status = Literal["helps", "unproven", "inert", "harms"]
ALPHA = 0.05  # chance that an end of an interval is ever wrong
BAND = 0.15  # a difference in the rate of success that is not worth telling apart from none
SWING = 0.15  # of an uplift, that is news
SPREAD = 0.25  # standard deviation between memories of a class, before anything is known
SPREAD_OF_CLASSES = 0.1  # between classes of a tenant, between its origins, and of all its memories around 0
NEARNESS = 3.0  # times as narrow an interval that decides is near enough to look more often


class Sample(msgspec.Struct, array_like=True, gc=False):
    """Outcomes of one side, each with its weight."""

    n: int = 0
    weight: float = 0.0
    worked: float = 0.0  # the weight of those that did
    squares: float = 0.0

    def add(self, weight: float, success: bool) -> None:
        self.n += 1
        self.weight += weight
        self.worked += weight * success
        self.squares += weight * weight

    def without(self, part: "Sample") -> "Sample":
        """The rest of a sample that holds another one."""
        if self.n == part.n:
            return Sample()
        return Sample(
            self.n - part.n, self.weight - part.weight, self.worked - part.worked, self.squares - part.squares
        )

    @property
    def mean(self) -> float:
        return self.worked / self.weight

    @property
    def variance(self) -> float:
        """Of the mean; one outcome of each kind is imagined, so that few that agree are no certainty."""
        size = self.weight * self.weight / self.squares  # Kish's effective one
        rate = (self.mean * size + 1.0) / (size + 2.0)
        return rate * (1.0 - rate) / size


class Contrast(msgspec.Struct, array_like=True, gc=False):
    """Decisions that were offered something, beside those it was withheld from."""

    offered: Sample = msgspec.field(default_factory=Sample)
    withheld: Sample = msgspec.field(default_factory=Sample)

    def add(self, item: Offered, success: bool) -> None:
        if item.withheld:
            self.withheld.add(1.0 / item.probability, success)
        else:
            self.offered.add(1.0 / (1.0 - item.probability), success)

    def without(self, part: "Contrast") -> "Contrast":
        return Contrast(self.offered.without(part.offered), self.withheld.without(part.withheld))

    @property
    def n(self) -> int:
        return self.offered.n + self.withheld.n

    @property
    def known(self) -> bool:
        return self.offered.n > 0 and self.withheld.n > 0

    @property
    def difference(self) -> float:
        return self.offered.mean - self.withheld.mean

    @property
    def variance(self) -> float:
        return self.offered.variance + self.withheld.variance

    def shrunk(self, towards: float, spread: float) -> float:
        """The difference, nearer to what is expected of its like the less is known of it (a normal prior)."""
        if not self.known:
            return towards
        kept = spread * spread / (spread * spread + self.variance)
        return towards + kept * (self.difference - towards)

    def half_width(self, expected: float) -> float:
        """Of an interval around the difference that may be looked at after every outcome.

        Robbins' normal mixture (1970), as an asymptotic confidence sequence (Waudby-Smith et al. 2024): the values
        under which this is not 1 / (2 * ALPHA) times less likely than under the prior around what was expected.
        """
        variance, spread = self.variance, SPREAD * SPREAD
        surprise = self.difference - expected
        evidence = 2.0 * log(0.5 / ALPHA) + log(1.0 + spread / variance) + surprise * surprise / (spread + variance)
        return sqrt(variance * evidence)


class Standing(NamedTuple):
    """What is known of one memory's worth, as a difference in the rate of success."""

    uplift: float = 0.0  # shrunk towards its like
    low: float = -1.0
    high: float = 1.0
    status: Status = "unproven"
    offered: int = 0  # decisions with a known outcome
    withheld: int = 0
    near: bool = False  # little is missing to find that it does not help; to look costs nothing where that is so

    @property
    def spoken(self) -> str:
        n = self.offered + self.withheld
        if self.status == "unproven":
            return f"unproven ({n})"
        return f"{self.status} ({self.uplift:+.2f}, {self.low:+.2f} to {self.high:+.2f}, {n})"


class Item(msgspec.Struct, array_like=True):
    """A memory that was offered or withheld at random, with what it is one of."""

    error_class: str
    origin: str
    contrast: Contrast = msgspec.field(default_factory=Contrast)
    told: float = 0.0  # the uplift that was told last


class Origin(msgspec.Struct, array_like=True):
    """Where memories come from: what validations said of its fixes, and its memories' contrast together."""

    successes: int = 0
    failures: int = 0
    contrast: Contrast = msgspec.field(default_factory=Contrast)
    told: float = 0.0  # the uplift that was told last


class WorthDump(msgspec.Struct, frozen=True, array_like=True):
    """At rest; equal worths give equal bytes."""

    items: list[tuple[int, Item]] = []
    classes: list[tuple[str, Contrast]] = []
    origins: list[tuple[str, Origin]] = []
    all: Contrast = msgspec.field(default_factory=Contrast)


UNKNOWN = Contrast()  # of what was never drawn; never written to
NOWHERE = Origin()


class Worth:
    """Of all memories of a tenant."""

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self.classes: dict[str, Contrast] = {}
        self.origins: dict[str, Origin] = {}
        self.all = Contrast()
        self.changes: list[Change] = []  # since they were asked for

    def see(self, offered: Offered, success: bool) -> None:
        """A decision that was offered a memory, or from which it was withheld, ended so."""
        item = self.items.setdefault(offered.episode_id, Item(offered.error_class, offered.origin))
        for contrast in (
            item.contrast,
            self.classes.setdefault(item.error_class, Contrast()),
            self.origins.setdefault(item.origin, Origin()).contrast,
            self.all,
        ):
            contrast.add(offered, success)
        self._tell(item, offered.kind, str(offered.episode_id), self.standing(offered.episode_id).uplift)
        self._tell(self.origins[item.origin], "origin", item.origin, self.uplift_of_origin(item.origin))

    def _tell(self, of: Item | Origin, what: MemoryKind | Literal["origin"], name: str, uplift: float) -> None:
        """News, where the uplift moved far from what was told last."""
        if abs(uplift - of.told) >= SWING:
            self.changes.append(Change(kind="swung", what=what, name=name, before=of.told, after=uplift))
            of.told = uplift

    def validated(self, origin: str, success: bool) -> None:
        """A fix of an origin was run as advised."""
        of = self.origins.setdefault(origin, Origin())
        of.successes += success
        of.failures += not success

    def standing(self, episode_id: int, error_class: str = "") -> Standing:
        """Of a memory; of one that was never drawn what is known of its class."""
        item = self.items.get(episode_id)
        own = UNKNOWN if item is None else item.contrast
        expected = self._expected(error_class if item is None else item.error_class, own)
        uplift = own.shrunk(expected, SPREAD)
        if not own.known:
            return Standing(uplift, offered=own.offered.n, withheld=own.withheld.n)
        middle, half = own.difference, own.half_width(expected)
        return Standing(
            uplift,
            max(-1.0, middle - half),
            min(1.0, middle + half),
            status_of(middle - half, middle + half),
            own.offered.n,
            own.withheld.n,
            near=status_of(middle - half / NEARNESS, middle + half / NEARNESS) in ("harms", "inert"),
        )

    def _expected(self, error_class: str, own: Contrast) -> float:
        """Of a memory by all others of its class, and of those by all others."""
        of_class = self.classes.get(error_class, UNKNOWN)
        of_all = self.all.without(of_class).shrunk(0.0, SPREAD_OF_CLASSES)
        return of_class.without(own).shrunk(of_all, SPREAD_OF_CLASSES)

    def uplift_of_origin(self, name: str) -> float:
        """Of an origin's memories, shrunk towards those of all others."""
        of = self.origins.get(name, NOWHERE).contrast
        return of.shrunk(self.all.without(of).shrunk(0.0, SPREAD_OF_CLASSES), SPREAD_OF_CLASSES)

    def forget(self, episode_id: int) -> None:
        """A memory is gone; what its like were worth stays, so that purging launders no origin."""
        self.items.pop(episode_id, None)

    def dump(self) -> WorthDump:
        return WorthDump(
            sorted(self.items.items()), sorted(self.classes.items()), sorted(self.origins.items()), self.all
        )

    @classmethod
    def load(cls, dump: WorthDump) -> Self:
        worth = cls()
        worth.items, worth.classes, worth.origins = dict(dump.items), dict(dump.classes), dict(dump.origins)
        worth.all = dump.all
        return worth


def status_of(low: float, high: float) -> Status:
    """What an interval of the uplift says."""
    if low > 0.0:
        return "helps"
    if high < 0.0:
        return "harms"
    return "inert" if low >= -BAND and high <= BAND else "unproven"
