"""The modalities that failures are found by: every class that ends in `Vectorizer`, here or in an entry point.

A module in this folder, or what an entry point of the group `pointsman.vectorizers` names (a module or a class), is
all it takes to add one: `ActionVectorizer` makes the modality `action`. What is asked of a class: `port.Vectorizer`.
"""

import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from ...embedding import BatchingEmbedder
from ...errors import BadSetting
from ...settings import Settings
from .port import Vectorizer

GROUP, SUFFIX = "pointsman.vectorizers", "Vectorizer"


def vectorizers(embedder: BatchingEmbedder, settings: Settings) -> Mapping[str, Vectorizer]:
    """All of them by modality, made.

    Raises:
      BadSetting: one cannot be loaded, or two are of one modality.
    """
    found: dict[str, Vectorizer] = {}
    for made in _found():
        modality = made.__name__.removesuffix(SUFFIX).lower()
        if modality in found:
            raise BadSetting(f"two vectorizers are of the modality {modality!r}; one is {made.__module__}")
        found[modality] = made(embedder, settings)
    return found


def _found() -> Iterator[type[Vectorizer]]:
    for module in iter_modules(__path__):
        yield from _in(import_module(f"{__name__}.{module.name}"))
    for entry in entry_points(group=GROUP):
        try:
            loaded = entry.load()
        except (ImportError, AttributeError) as error:
            raise BadSetting(f"the entry point {entry.name} of {GROUP} cannot be loaded: {error}") from error
        yield from _in(loaded) if isinstance(loaded, ModuleType) else (loaded,)


def _in(module: ModuleType) -> Iterator[Any]:
    """What is defined there, not what is imported."""
    for name, defined in inspect.getmembers(module, inspect.isclass):
        if name.endswith(SUFFIX) and name != SUFFIX and defined.__module__ == module.__name__:
            yield defined
