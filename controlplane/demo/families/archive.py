"""A misnamed archive: it is called compressed and is not, or is so twice."""

import gzip
from pathlib import Path
from random import Random

from .family import Aside, Family, Job, Phrase, Scene

FACTS = """
for archive in *.gz; do
    printf 'archive_kb=%s\\n' "$((($(wc -c < "$archive") + 4095) / 4096 * 4))"
done
printf 'readme=%s\\n' "$(ls README 2>/dev/null)"
"""

NOISE = Random("archive").randbytes(9_000).hex()  # compressed, it is still larger than a plain archive of little
PLAIN, ONCE, TWICE = "cat", "gzip -c", "gzip -c | gzip -c"


def _chapters() -> tuple[tuple[int, Scene], ...]:
    """A tar that is compressed as its name says; that is not, in the usual blocks or in small ones; or is so twice."""

    def scene(packed: str, blocks: int, more: str = "") -> Scene:
        made = f"cd book && tar -b {blocks} -cf - chapters | {packed} > chapters.tar.gz && rm -r chapters"
        return Scene(
            cwd="book", files={"book/chapters/one.txt": "It was dark.\n", "book/chapters/two.txt": more}, setup=made
        )

    return (
        (10, scene(ONCE, 20)),
        (6, scene(PLAIN, 20)),
        (1, scene(PLAIN, 1)),
        (2, scene(TWICE, 20, NOISE)),
        (1, scene(ONCE, 20, NOISE)),
    )


def _readings() -> tuple[tuple[int, Scene], ...]:
    """A compressed table, or a plain one under the same name, of either size."""

    def scene(packed: str, rows: str) -> Scene:
        made = f"cd observatory && {packed} < table > readings.csv.gz && rm table"
        return Scene(cwd="observatory", files={"observatory/table": f"day,sky\n1,clear\n{rows}\n"}, setup=made)

    long = "2,cloudy\n" * 1_000
    return ((10, scene(ONCE, long)), (8, scene(PLAIN, long)), (1, scene(PLAIN, "")), (1, scene(ONCE, NOISE)))


def _layers(content: bytes) -> int:
    """How often it is compressed."""
    return 1 + _layers(gzip.decompress(content)) if content.startswith(b"\x1f\x8b") else 0


def ways(here: Path, command: str) -> list[str]:
    """Look at what the file is; unpack it as often as it is packed, in a pipe or by way of a file of the right name."""
    archive = next(here.glob("*.gz"))
    plain, name = archive.stem, archive.name
    unpacked = " | ".join([f"gzip -dc < {name}", "gzip -dc"][: _layers(archive.read_bytes())]) or f"cat {name}"
    if "tar" not in command:
        return [f"{unpacked} > {plain}", f"gzip -dcf < {name} > {plain}"]
    return [f"{unpacked} | tar xf -", f"{unpacked} > {plain} && tar xf {plain}"]


ARCHIVE = Family(
    name="misnamed archive",
    facts=FACTS,
    aside=Aside(files={"README": "Sent by mail.\n"}),
    ways=ways,
    jobs=(
        Job(
            phrases=(
                Phrase("Unpack the chapters of the book", "tar xzf chapters.tar.gz"),
                Phrase("Extract the chapters that came by mail", "tar xzf chapters.tar.gz"),
                Phrase("Open the archive with the chapters", "tar -xzf chapters.tar.gz"),
                Phrase("Get the chapters out of their archive", "tar xzf chapters.tar.gz", late=True),
            ),
            scenes=_chapters(),
            check="test -s book/chapters/one.txt",
        ),
        Job(
            phrases=(
                Phrase("Unpack the readings of the observatory", "gzip -dk readings.csv.gz"),
                Phrase("Decompress the table of readings", "gzip -dk readings.csv.gz"),
                Phrase("Get at the readings in the compressed table", "gzip -d -k readings.csv.gz"),
                Phrase("Expand the observatory's readings", "gzip -dk readings.csv.gz", late=True),
            ),
            scenes=_readings(),
            check="grep -q clear observatory/readings.csv",
        ),
    ),
)
