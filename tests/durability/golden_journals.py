"""The journals that earlier versions wrote (golden/record.py makes them)."""

import gzip
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.name.removesuffix(".journal.db.gz") for path in GOLDEN.glob("*.journal.db.gz"))


def schema_of(name: str) -> int:
    """The schema it was written in."""
    return int(name.removeprefix("schema-"))


def unpacked(name: str, file: Path) -> Path:
    """A copy of one, in a file of its own."""
    file.write_bytes(gzip.decompress((GOLDEN / f"{name}.journal.db.gz").read_bytes()))
    return file
