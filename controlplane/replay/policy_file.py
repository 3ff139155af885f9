"""The policy that is replayed, as a file: TOML or JSON, of the strategist's own settings."""

import difflib
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from strategist import PolicySettings, StrategistError
from strategist.evaluation import Target
from strategist.exploration import EXPLORATION_RULES
from strategist.features.spec import FeatureSpec

from ..documents import read_document
from ..errors import UnusablePolicy

IN_PARTS = ("step", "epsilon")  # of whose settings each may be left out
Reward = Annotated[float, Meta(ge=-1e6, le=1e6)]


class PolicyDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """policy: hyper-parameters; features: a feature spec; weights: of the reward's terms; reward_range: of rewards."""

    policy: dict[str, Any] = {}
    features: FeatureSpec | None = None
    weights: dict[str, Reward] | None = None
    reward_range: tuple[Reward, Reward] | None = None


def read_policy(file: Path, in_force: PolicySettings) -> Target:
    """The policy of a file.

    Raises:
      UnusablePolicy: it cannot be read, or is none.
    """
    return policy_of(completed(read_document(file), in_force))


def completed(document: Any, in_force: PolicySettings) -> Any:
    """The document with all that its policy leaves out as in the one in force."""
    if not isinstance(document, dict) or not isinstance(told := document.get("policy", {}), dict):
        return document
    base: dict[str, Any] = msgspec.to_builtins(in_force)
    within = {name: {**base[name], **told[name]} for name in IN_PARTS if isinstance(told.get(name), dict)}
    return {**document, "policy": {**base, **told, **within}}


def policy_of(document: Any) -> Target:
    """The policy of a document.

    Raises:
      UnusablePolicy: it names what no policy has, or a value that is not taken.
    """
    try:
        told = msgspec.convert(document, PolicyDocument)
        _refuse_unknown("policy", told.policy, _settings(told.policy.get("exploration")))
        settings = msgspec.convert(told.policy, PolicySettings)
    except (msgspec.ValidationError, StrategistError) as error:
        raise UnusablePolicy(f"the policy cannot be used: {error}") from error
    lowest, highest = told.reward_range or (0.0, 1.0)
    if not lowest < highest:
        raise UnusablePolicy(f"reward_range is [{lowest:g}, {highest:g}]; the first number is to be the smaller one")
    return Target(settings=settings, spec=told.features, weights=told.weights, reward_range=told.reward_range)


def _settings(exploration: Any) -> dict[str, Any]:
    """All there are; those of an exploration rule are its type's."""
    told = exploration.get("type") if isinstance(exploration, dict) else None
    of_type = [msgspec.to_builtins(rule()) for name, rule in EXPLORATION_RULES.items() if name == told]
    return {**msgspec.to_builtins(PolicySettings()), "exploration": of_type[0] if of_type else exploration}


def _refuse_unknown(path: str, told: dict[str, Any], known: dict[str, Any]) -> None:
    """Raises UnusablePolicy for a name that means nothing: a slip would go on with a default."""
    for name, value in told.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            raise UnusablePolicy(f"{path}.{name} is no setting of a policy; {hint}")
        if isinstance(value, dict) and isinstance(known[name], dict):
            _refuse_unknown(f"{path}.{name}", value, known[name])
