"""What a PromQL expression asks for, by its tokens: enough to find a metric, label or function that is not there."""

import re
from collections.abc import Iterator
from typing import NamedTuple

TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<range>\[[^\]]*\])|(?P<number>(?:\d+\.?\d*|\.\d+)[smhdwy]?)"""
    r"""|(?P<word>[a-zA-Z_:][\w:]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){},=<>])"""
)
RANGE = re.compile(r"\[(\d+[smhdwy]|\$__rate_interval)\]")
AGGREGATIONS = {"sum", "max", "min", "avg", "count"}
FUNCTIONS = {"rate", "increase", "histogram_quantile", "absent"} | AGGREGATIONS
LISTS = {"by", "without", "on", "ignoring"}  # of labels
OPERATORS = {"and", "or", "unless", "offset"}
CLOSED_BY = {"(": ")", "{": "}"}


class Selector(NamedTuple):
    """A metric, the labels it is chosen by, and the values they are compared with."""

    metric: str
    labels: dict[str, str]


class Asked(NamedTuple):
    """All that an expression names."""

    selectors: list[Selector]
    grouped_by: set[str]


def asked(expression: str) -> Asked:
    """What an expression names.

    Raises:
      ValueError: it is no PromQL, or has a function that is not among those we use.

    >>> asked('sum by (code) (rate(errors_total{code=~"a|b"}[5m])) > 1')
    Asked(selectors=[Selector(metric='errors_total', labels={'code': 'a|b'})], grouped_by={'code'})
    """
    tokens = list(_tokens(expression))
    if not _balanced(tokens):
        raise ValueError(f"brackets that do not match: {expression}")
    selectors: list[Selector] = []
    grouped_by: set[str] = set()
    at = 0
    while at < len(tokens):
        word, after = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
        if word in LISTS and after == "(":
            end = tokens.index(")", at)
            grouped_by |= _labels(tokens[at + 2 : end])
            at = end
        elif re.fullmatch(r"[a-zA-Z_:][\w:]*", word) and word not in OPERATORS:
            if after == "(" or (word in AGGREGATIONS and after in LISTS):
                if word not in FUNCTIONS:
                    raise ValueError(f"{word} is no function we know: {expression}")
            else:
                selector, at = _selector(tokens, at)
                selectors.append(selector)
        at += 1
    return Asked(selectors, grouped_by)


def _tokens(expression: str) -> Iterator[str]:
    at = 0
    while at < len(expression):
        found = TOKEN.match(expression, at)
        if found is None or (found.lastgroup == "range" and not RANGE.fullmatch(found[0])):
            raise ValueError(f"{expression[at : at + 20]!r} is no PromQL: {expression}")
        if found.lastgroup != "space":
            yield found[0]
        at = found.end()


def _balanced(tokens: list[str]) -> bool:
    open_ones: list[str] = []
    for token in tokens:
        if token in CLOSED_BY:
            open_ones.append(CLOSED_BY[token])
        elif token in CLOSED_BY.values() and (not open_ones or open_ones.pop() != token):
            return False
    return not open_ones


def _labels(tokens: list[str]) -> set[str]:
    """Of a list with commas."""
    if tokens[1::2] != [","] * (len(tokens) // 2) or not all(map(str.isidentifier, tokens[::2])):
        raise ValueError(f"{' '.join(tokens)} are no labels")
    return set(tokens[::2])


def _selector(tokens: list[str], at: int) -> tuple[Selector, int]:
    """The selector that begins there, and where it ends."""
    if tokens[at + 1 : at + 2] != ["{"]:
        return Selector(tokens[at], {}), at
    end = tokens.index("}", at)
    inside = [token for token in tokens[at + 2 : end] if token != ","]
    matchers = [inside[n : n + 3] for n in range(0, len(inside), 3)]
    if any(len(m) != 3 or m[1] not in ("=", "!=", "=~", "!~") or m[2][:1] != '"' for m in matchers):
        raise ValueError(f"{' '.join(inside)} are no matchers")
    return Selector(tokens[at], {label: value.strip('"') for label, _, value in matchers}), end
