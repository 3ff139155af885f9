"""Each named place at which something dies, once with every change and five times a night."""

from collections.abc import Iterable

import pytest

REPEATS = 5


def cases(names: Iterable[str], nightly: Iterable[str] = ()) -> pytest.MarkDecorator:
    """A place's `name` and which `repeat` of it: each is to have another seed. Those of `nightly` at night only."""
    every = [
        pytest.param(name, repeat, marks=pytest.mark.nightly if repeat or name in nightly else ())
        for name in (*names, *nightly)
        for repeat in range(REPEATS)
    ]
    return pytest.mark.parametrize(("name", "repeat"), every)
