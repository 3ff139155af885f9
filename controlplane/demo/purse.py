"""Language models for the learned gate, played by the fake provider, and what reflections by them cost."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .servers import Child

TIERS = ("cached", "cheap", "premium")
CHEAP, PREMIUM = "gpt-4.1-mini", "gpt-4.1"  # whose published prices hold
CATALOGUE = """
[[models]]
name = "{name}"
provider = "openai"
model = "{name}"
tier = "{tier}"
context_tokens = 1047576
output_tokens = 32768
"""
SAID = {
    "root_cause": "A step before this one did not do what this one needs.",
    "preconditions": ["what the command reads is there"],
    "resolution_strategy": "Look at what the command reads before it is run again.",
    "environment_factors": [],
    "confidence": 0.5,
}


class Purse(msgspec.Struct, frozen=True, kw_only=True):
    """What reflections on captured failures cost, in USD.

    `tiers`: how often each was chosen; one that was to be asked may be had of a similar failure by then.
    """

    tiers: dict[str, int]
    calls: int
    spent_usd: float
    always_premium_usd: float
    saved_usd: float

    @classmethod
    def of(cls, tiers: Mapping[str, int], told: dict[str, Any]) -> "Purse":
        """From the tiers that captures were answered with, and the server's own account of its money."""
        against = {saving["baseline"]: saving for saving in told["savings"]}["always_premium"]
        return cls(
            tiers={tier: tiers.get(tier, 0) for tier in TIERS},
            calls=told["calls"],
            spent_usd=told["spent_usd"],
            always_premium_usd=against["would_have_cost_usd"],
            saved_usd=against["saved_usd"],
        )

    @property
    def sentence(self) -> str:
        """What it says."""
        by_tier = ", ".join(f"{count} {tier}" for tier, count in self.tiers.items())
        reflected = f"For {sum(self.tiers.values())} failures a reflection by played models was chosen ({by_tier})"
        spent = f"and {self.spent_usd:.4f} USD spent at published prices"
        premium = f"on the premium model the {self.calls} calls would have cost {self.always_premium_usd:.4f} USD"
        return f"{reflected} {spent}; {premium}, and each cached one asked nobody."


class Models(Child):
    """A fake provider that answers every reflection alike, and bills by the word."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._catalogue, script = folder / "models.toml", folder / "script.json"
        tiers = ((CHEAP, "cheap"), (PREMIUM, "premium"))
        self._catalogue.write_text("".join(CATALOGUE.format(name=name, tier=tier) for name, tier in tiers), "utf-8")
        script.write_bytes(msgspec.json.encode({"otherwise": {"text": msgspec.json.encode(SAID).decode()}}))
        super().__init__(folder / "process", ("fake-provider", "--script", str(script)), {})

    def settings(self, url: str) -> dict[str, str]:
        """With which a server asks it."""
        return {"OPENAI_BASE_URL": f"{url}/v1", "CATALOGUE": str(self._catalogue)}
