"""A catalogue of models as an operator writes one, for servers whose providers are played."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

MODEL = """\
[[models]]
name = "{name}"
provider = "{provider}"
model = "{name}-1"
tier = "{tier}"
context_tokens = 100000
output_tokens = 10000
price = {{ input = {price}, output = {price} }}
"""


class Priced(NamedTuple):
    """A model, and what its tokens cost [nano-USD each]."""

    name: str
    provider: str
    tier: str
    nano_usd: int

    @property
    def usd_a_million(self) -> float:
        return self.nano_usd / 1000


def catalogue_of(folder: Path, models: Iterable[Priced]) -> str:
    """The path of a file that says so."""
    file = folder / "models.toml"
    texts = [MODEL.format(name=m.name, provider=m.provider, tier=m.tier, price=m.usd_a_million) for m in models]
    file.write_text("\n".join(texts), "utf-8")
    return str(file)
