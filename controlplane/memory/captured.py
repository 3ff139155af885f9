"""What is kept of a captured failure: redacted, with its class and its conditions, and the digest it is known by."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from auditor.events import Episode

from ..contract import MAX_NAME, MAX_TEXT, MAX_TRACE, CaptureRequest
from ..llm.local import blank, classify
from ..llm.redaction import redacted
from ..masking import masked
from .actions import family_of, normalise, tool_of
from .observed import conditions_in

NAMED = {"namespace", "task_id", "trace_id"}  # what joins a capture with others: kept as they came
NAMES = ("error_class", "tool_chain", "license", "origin", "tags")
LONGEST = {"error_trace": MAX_TRACE, **dict.fromkeys(NAMES, MAX_NAME)}  # of fields whose texts are not MAX_TEXT


def episode_of(request: CaptureRequest, images: Sequence[bytes]) -> Episode:
    """An episode that a request may hold again: no text is longer than it may come, though redaction lengthens some."""
    fields: dict[str, Any] = {
        name: getattr(request, name) for name in request.__struct_fields__ if name in Episode.__struct_fields__
    }
    fields.update({name: masked(fields[name], most=None) for name in fields.keys() - NAMED})
    trace = redacted(request.error_trace)
    fields.update(goal=redacted(request.goal), error_trace=trace, error_class=fields["error_class"] or classify(trace))
    if blank(fields["resolution"]):
        fields["resolution"] = ""
    fields.update({name: _cut(fields[name], LONGEST.get(name, MAX_TEXT)) for name in fields.keys() - NAMED})
    trace = fields["error_trace"]
    what = [fields[name] for name in ("namespace", "goal", "planned_action", "resolution", "tool_chain")]
    what.append(normalise(trace))  # paths and numbers change from run to run; the failure is the same
    what.extend(map(image_digest, images))
    stated, derived = fields["preconditions"], masked(conditions_in(trace), most=None)
    if not fields["environment"] and stated in ({}, derived):  # as a trace has them, or as they were read off it before
        stated, fields["preconditions"] = {}, derived
    where = [fields["environment"], stated]
    digest = blake2b(msgspec.json.encode([what, where], order="sorted"), digest_size=16).hexdigest()
    return Episode(**fields, digest=digest)


def _cut(value: Any, most: int) -> Any:
    """With every text in it, at any depth, of that length at most."""
    if isinstance(value, str):
        return value[:most]
    if isinstance(value, dict):
        return {_cut(key, most): _cut(item, most) for key, item in value.items()}
    return type(value)(_cut(item, most) for item in value) if isinstance(value, list | tuple) else value


def tool_family(episode: Episode) -> str:
    """Of the first tool that was named, else of the one that its command runs."""
    return family_of(tool_of(episode.planned_action, next(iter(episode.tool_chain), None)))


def image_digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
