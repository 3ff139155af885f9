"""What is public is listed; what comes over the wire is closed."""

import importlib
from types import ModuleType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

import auditor
import strategist
from auditor import Outcome
from auditor.events import AnyEvent
from controlplane import contract, settings
from controlplane.contract import Answer, DecisionRequest, Request
from strategist.features.spec import FeatureSpec

SURFACE = {
    "strategist": [
        "BackoffTable",
        "BadSpec",
        "Eligible",
        "EpsilonDecay",
        "Estimates",
        "ExplorationName",
        "HeadChoice",
        "Link",
        "Mode",
        "Move",
        "NoEligibleAction",
        "Policy",
        "PolicySettings",
        "PolicySnapshot",
        "QTable",
        "Situation",
        "SpecMismatch",
        "State",
        "Step",
        "StepSize",
        "StrategistError",
        "Transition",
        "Update",
        "UpdateRule",
        "exploration_rule",
    ],
    "auditor": [
        "Answer",
        "AuditorError",
        "FeedbackResult",
        "Learned",
        "Learner",
        "Outcome",
        "PointRules",
        "PromotionRules",
        "Rules",
        "State",
        "Trace",
        "UnreadableFold",
        "ValidationResult",
        "learn_on",
    ],
}


@pytest.mark.parametrize("package", [strategist, auditor], ids=lambda package: package.__name__)
def test_public_surface_is_this_and_sorted(package: ModuleType) -> None:
    assert package.__all__ == sorted(package.__all__) == SURFACE[package.__name__]
    assert all(getattr(package, name) is not None for name in package.__all__)


@pytest.mark.parametrize(
    "module",
    ["strategist.exploration", "auditor.rewards", "controlplane.journal", "controlplane.embedding"],
)
def test_rooms_that_list_their_surface_keep_it_sorted(module: str) -> None:
    listed = importlib.import_module(module).__all__
    assert listed == sorted(listed)


def subclasses(of: type) -> list[type]:
    found = [cls for cls in vars(contract).values() if isinstance(cls, type) and issubclass(cls, of) and cls is not of]
    assert found
    return found


def structs_in(annotation: Any) -> set[type]:
    """Every struct a field can hold, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return {annotation} | set().union(*(structs_in(t) for t in get_type_hints(annotation).values()), set())
    if get_origin(annotation) in (Union, UnionType) or get_args(annotation):
        return set().union(*(structs_in(arg) for arg in get_args(annotation)))
    return set()


@pytest.mark.parametrize("request_type", subclasses(Request), ids=lambda cls: cls.__name__)
def test_request_forbids_fields_it_does_not_know_at_any_depth(request_type: type[msgspec.Struct]) -> None:
    for struct in structs_in(request_type):
        config = struct.__struct_config__
        assert config.forbid_unknown_fields, struct.__name__
        assert config.frozen, struct.__name__


@pytest.mark.parametrize(
    ("struct", "body"),
    [
        (DecisionRequest, b'{"planed_action": "ls"}'),
        (DecisionRequest, b'{"candidates": [{"provider": "a", "sku": "b", "price": 1}]}'),
        (contract.FeedbackRequest, b'{"trace_id": "t", "outcome": {"won": true}}'),
        (FeatureSpec, b'{"point": "p", "version": 1, "features": {}, "tilings": [], "extra": 1}'),
        (settings.Settings, b'{"prot": 1}'),
    ],
)
def test_unknown_field_is_named_in_the_refusal(struct: type, body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(body, type=struct)


def test_everything_named_request_is_one() -> None:
    named = [cls for name, cls in vars(contract).items() if name.endswith("Request") and name != "Request"]
    assert all(issubclass(cls, Request) for cls in named)


@pytest.mark.parametrize("answer", subclasses(Answer), ids=lambda cls: cls.__name__)
def test_answer_cannot_be_changed_once_it_is_made(answer: type[msgspec.Struct]) -> None:
    assert answer.__struct_config__.frozen


@pytest.mark.parametrize("event", get_args(AnyEvent), ids=lambda cls: cls.__name__)
def test_event_is_frozen_and_names_its_kind(event: type[msgspec.Struct]) -> None:
    config = event.__struct_config__
    assert config.frozen
    assert (config.tag_field, isinstance(config.tag, str)) == ("kind", True)


def test_kinds_of_events_are_those_the_journal_holds() -> None:
    """Renaming one would make every journal unreadable."""
    assert sorted(event.__struct_config__.tag for event in get_args(AnyEvent)) == [
        "answered",
        "appeal",
        "appeal_ruled",
        "budget_set",
        "capture",
        "challenger_ended",
        "challenger_set",
        "checkpoint",
        "checkpoints_pruned",
        "configured",
        "decision",
        "document",
        "documents_dropped",
        "episode_deleted",
        "episode_returned",
        "episodes_archived",
        "federated",
        "feedback",
        "job",
        "job_ended",
        "job_failed",
        "job_leased",
        "key_ends",
        "key_issued",
        "origin_forgotten",
        "origin_registered",
        "policy_set",
        "promoted",
        "purged",
        "quarantine_lifted",
        "quarantined",
        "query",
        "ranker",
        "receipt",
        "reconciled",
        "reflection",
        "reflection_evicted",
        "released",
        "reserved",
        "restored",
        "reuse_checked",
        "rolled_back",
        "session_outcome",
        "settled",
        "signature",
        "skill_described",
        "skill_retired",
        "tenant_set",
        "trajectory_closed",
        "validation",
        "webhook_removed",
        "webhook_set",
        "window_closed",
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"latency_ms": -1}', ">= 0"),
        (b'{"cost": 1e300}', "<="),
        (b'{"failures": 9007199254740993}', "<="),
        (b'{"failures": 1.5}', "int"),
        (b'{"success": "yes"}', "bool"),
        (b'{"custom": {"x": "high"}}', "float"),
    ],
)
def test_outcome_refuses_what_no_reward_can_be_made_of(body: bytes, why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.json.decode(body, type=Outcome)
