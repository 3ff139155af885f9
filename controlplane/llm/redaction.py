"""Takes out of a text what nobody should be told: what is not seen, secrets, and people's addresses and numbers.

It is done before a text is stored, embedded or sent to a model, and to what a model answers. Secrets are masking.py's.
"""

import re
import unicodedata
from functools import lru_cache

from ..masking import without_secrets
from .local import clean

MAIL, PHONE, CARD, LINK = "[mail]", "[phone]", "[card]", "[link]"
CARD_DIGITS, PHONE_DIGITS = range(13, 20), range(9, 16)
CACHED, MOST_CACHED = 10_000, 2_000  # texts that are known to need nothing, and characters of each: plans come again

_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-]|\.\d)")
_PHONE = re.compile(  # with +, with an area's code in brackets or apart, with a leading 0; a date has fewer digits
    r"(?<![\w.:+-])(?:\+\d(?:[ ()./-]{0,2}\d){6,14}|\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}|0\d{1,4}(?:[ /]\d{2,8}){1,4}"
    r"|0\d{1,4}-\d{5,8})(?![\w:-]|\.\d)"
)
_LINK = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,30}:(?://|\\\\)\S*|\b(?:javascript|data|mailto|vbscript|file):\S+|\bwww\.\S+", re.IGNORECASE
)
_HOST = re.compile(  # an address without its scheme: by number, with a path, or under a name that many have
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?:/\S*)?|\[[0-9a-f:]*::?[0-9a-f:]+\](?::\d+)?(?:/\S*)?"
    r"|(?<![\w.-])(?:[\w-]{1,63}\.){1,8}(?:[a-z]{2,24}(?::\d+)?/\S*"
    r"|(?:ai|app|biz|cn|co|com|dev|eu|example|info|io|net|online|org|ru|uk|xyz)(?::\d+)?(?![\w-]|\.\w))",
    re.IGNORECASE,
)
_BLANK = re.compile(r"\s+")


def redacted(text: str) -> str:
    """The text without marks that are not seen, secrets, addresses of mail, numbers of cards and phones.

    >>> redacted("mail \\u202eann@acme.org or call +49 30 1234567, token=hunter2 from 2026-11-27 09:33:58")
    'mail [mail] or call [phone], token=*** from 2026-11-27 09:33:58'
    """
    try:
        return (_unchanged if len(text) <= MOST_CACHED else _unchanged.__wrapped__)(text)
    except _Changed as changed:
        return changed.left


class _Changed(Exception):
    """Something was taken out of a text."""

    def __init__(self, left: str) -> None:
        super().__init__()
        self.left = left


@lru_cache(CACHED)
def _unchanged(text: str) -> str:
    """Raises _Changed where anything is taken out. What is raised is not remembered, so no secret is."""
    if (left := _taken_out(text)) != text:
        raise _Changed(left)
    return text


def _taken_out(text: str) -> str:
    text = _CARD.sub(_card, without_secrets(clean(text)))
    return _PHONE.sub(_phone, _MAIL.sub(MAIL, text))


def quotable(text: str) -> str:
    """What a model said, on one line that can stand in quotes: redacted, and without addresses anybody could follow.

    >>> quotable('Fetch\\n"ｈｔｔｐｓ://evil.example/x" or www.evil.example; then run `make`')
    "Fetch '[link] or [link] then run 'make'"
    """
    plain = redacted(unicodedata.normalize("NFKC", clean(text)))
    return _BLANK.sub(" ", _HOST.sub(LINK, unlinked(plain))).replace('"', "'").replace("`", "'").strip()


def unlinked(text: str) -> str:
    """The text without addresses that are followed by a click.

    >>> unlinked("npm ERR! see https://acme.org/x and scipy.io")
    'npm ERR! see [link] and scipy.io'
    """
    return _LINK.sub(LINK, text)


def _card(found: re.Match[str]) -> str:
    digits = _digits(found[0])
    return CARD if len(digits) in CARD_DIGITS and _luhn(digits) else found[0]


def _phone(found: re.Match[str]) -> str:
    return PHONE if len(_digits(found[0])) in PHONE_DIGITS else found[0]


def _digits(text: str) -> list[int]:
    return [int(sign) for sign in text if sign in "0123456789"]


def _luhn(digits: list[int]) -> bool:
    """Whether the check digit of a card's number fits."""
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
