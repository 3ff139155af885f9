"""Cuts texts into passages on sensible borders: headings, paragraphs, code fences, sentences.

The one file that imports semantic-text-splitter and tokenizers. Tokens are counted as the shipped model counts them,
which reads no more than 256 of a text.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from semantic_text_splitter import MarkdownSplitter
from tokenizers import Tokenizer

from ..embedding.sentence import shipped_model

BUDGET, OVERLAP = 240, 40  # tokens of a passage, and those of them that repeat the end of the one before
WIDEST = 16  # characters a token stands for at most: a word that is no word counts as one token, however long
PIECE = 8_192  # characters that are cut at once: marks that are nested in each other take the square of their number
_BORDERS = ("\n\n#", "\n\n", "\n", " ")  # between two pieces, the best first
_BETWEEN = re.compile(r"\n\s*\n")
_OPENS = re.compile(r"#{1,6}\s|```|~~~")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n")


@lru_cache(1)
def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(shipped_model() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@lru_cache(1)
def _splitter() -> MarkdownSplitter:
    return MarkdownSplitter.from_huggingface_tokenizer(_tokenizer(), BUDGET - OVERLAP)


def tokens(text: str) -> int:
    """How many tokens a text has."""
    return max(len(_tokenizer().encode(text, add_special_tokens=False).ids), len(text) // WIDEST)


def passages(text: str) -> list[str]:
    """The text in parts of at most BUDGET tokens, in order; only where a paragraph is cut they overlap."""
    return [part for chunk in _joined(text) for part in _bounded(chunk)]


def whole(parts: Iterable[str]) -> str:
    """The text that was cut into these passages, each part of it once; blank lines between them may be others."""
    text, before = list[str](), ""
    for part in parts:
        last = _SENTENCE.split(before.rstrip())[-1]
        repeats = last and part.startswith(last)
        text.append(part[len(last) :] if repeats else part if not before or part[0].isspace() else f"\n\n{part}")
        before = part
    return "".join(text)


def _joined(text: str) -> Iterator[str]:
    end, before = 0, ""
    for start, chunk in _chunks(text):
        cut = before and not _BETWEEN.search(text, end, start) and not _OPENS.match(chunk)
        yield _tail(before) + text[end:start] + chunk if cut else chunk
        end, before = start + len(chunk), chunk


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Where each begins, and the chunk; of a long text piece by piece."""
    begun = 0
    while begun < len(text):
        last = begun + PIECE
        places = (text.rfind(border, begun + PIECE // 2, last) for border in _BORDERS)
        end = next((place for place in places if place >= 0), last) if last < len(text) else len(text)
        for start, chunk in _splitter().chunk_indices(text[begun:end]):
            yield begun + start, chunk
        begun = end


def _tail(chunk: str) -> str:
    """The last sentence or line of a passage, if it is short enough to be repeated."""
    last = _SENTENCE.split(chunk.rstrip())[-1]
    return last if tokens(last) <= OVERLAP else ""


def _bounded(chunk: str) -> Iterator[str]:
    """A text without any border is cut by its length."""
    longest = BUDGET * WIDEST
    return (chunk[start : start + longest] for start in range(0, len(chunk), longest))
