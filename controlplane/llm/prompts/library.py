"""The library of prompts: versioned templates, ours and those of the operator's folder; what they take is declared.

A template is code, so it is an operator's or ours and nobody else's: no text of a tenant is ever read as one.
"""

import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Protocol, Self

import msgspec
from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Meta

from ...errors import BadSetting

SETTING, ENDING, FENCE = "POINTSMAN_PROMPTS", ".j2", "+++\n"
Category = Literal["reflection", "consensus", "skill_writing", "architecture", "code_generation", "review", "testing"]
# No loader: a template cannot reach for another file.
_SANDBOX = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=False)


class _File(Protocol):
    @property
    def name(self) -> str: ...

    def read_text(self, encoding: str) -> str: ...


class Front(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a template says of itself, in TOML between two lines `+++`."""

    name: Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,39}$")]
    version: Annotated[int, Meta(ge=1, le=10**6)]
    category: Category
    variables: frozenset[str] = frozenset()


class Prompt:
    """A template that can be rendered."""

    def __init__(self, front: Front, body: str) -> None:
        self.front = front
        self._template = _SANDBOX.from_string(body)

    @property
    def label(self) -> str:
        """What an answer to it is stamped with: name@version."""
        return f"{self.front.name}@{self.front.version}"

    def render(self, **values: str | int) -> str:
        """The prompt with its variables filled in; exactly those that it declares are taken."""
        assert values.keys() == self.front.variables, f"{self.label} takes {sorted(self.front.variables)}"
        return self._template.render(values)


class Prompts:
    """The newest version of each prompt by name; an operator's name takes the place of ours."""

    def __init__(self, prompts: dict[str, Prompt]) -> None:
        self._prompts = prompts

    def __getitem__(self, name: str) -> Prompt:
        return self._prompts[name]

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """The shipped prompts, and those of an operator's folder in their place or beside them.

        Raises:
          BadSetting: a template cannot be read, or takes other variables than it declares or than ours of its name.
        """
        shipped = _newest(file for file in resources.files(__package__).iterdir() if file.name.endswith(ENDING))
        own = {} if folder is None else _newest(_listed(folder))
        for name, prompt in own.items():
            if name in shipped and prompt.front.variables != shipped[name].front.variables:
                takes = ", ".join(sorted(shipped[name].front.variables))
                raise BadSetting(f"{SETTING}: {prompt.label} has to take what ours takes: {takes}")
        return cls(shipped | own)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.name.endswith(ENDING))
    except OSError as error:
        raise BadSetting(f"{SETTING}: {folder} cannot be read: {error.strerror}") from error


def _newest(files: Iterable[_File]) -> dict[str, Prompt]:
    found: dict[str, Prompt] = {}
    labels = set[str]()
    for file in files:
        prompt = _read(file)
        if prompt.label in labels:
            raise BadSetting(f"{SETTING}: {file.name}: {prompt.label} is there twice")
        labels.add(prompt.label)
        there = found.get(prompt.front.name)
        if there is None or there.front.version < prompt.front.version:
            found[prompt.front.name] = prompt
    return found


def _read(file: _File) -> Prompt:
    try:
        opening, front, body = file.read_text("utf-8").split(FENCE, 2)
        if opening:
            raise ValueError("its first line is not +++")
        prompt = Prompt(msgspec.convert(tomllib.loads(front), Front), body)
        _check(prompt.front, body)
    except (OSError, ValueError, TemplateError) as error:  # UnicodeDecodeError and TOML's are ValueErrors, too
        raise BadSetting(f"{SETTING}: {file.name} is no prompt: {error}") from error
    return prompt


def _check(front: Front, body: str) -> None:
    """Raises ValueError where a template takes other variables than it declares, or another file."""
    tree = _SANDBOX.parse(body)
    if takes := meta.find_undeclared_variables(tree) ^ front.variables:
        raise ValueError(f"declared or taken, but not both: {', '.join(sorted(takes))}")
    if any(True for _ in meta.find_referenced_templates(tree)):
        raise ValueError("it refers to another file")
