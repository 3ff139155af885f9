"""What is kept of a captured failure: redacted, with its class and its conditions, and the digest it is known by."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from auditor.events import Episode

from ..contract import CaptureRequest
from ..llm.local import blank, classify
from ..llm.redaction import redacted
from ..masking import masked
from .actions import normalise
from .observed import conditions_in

NAMED = {"namespace", "task_id", "trace_id"}  # what joins a capture with others: kept as they came


def episode_of(request: CaptureRequest, images: Sequence[bytes]) -> Episode:
    trace = redacted(request.error_trace)
    fields: dict[str, Any] = {
        name: getattr(request, name) for name in request.__struct_fields__ if name in Episode.__struct_fields__
    }
    fields.update({name: masked(fields[name], most=None) for name in fields.keys() - NAMED})
    fields.update(goal=redacted(request.goal), error_trace=trace, error_class=fields["error_class"] or classify(trace))
    if blank(fields["resolution"]):
        fields["resolution"] = ""
    what = [fields[name] for name in ("namespace", "goal", "planned_action", "resolution", "tool_chain")]
    what.append(normalise(trace))  # paths and numbers change from run to run; the failure is the same
    what.extend(map(image_digest, images))
    where = [fields["environment"], fields["preconditions"]]
    digest = blake2b(msgspec.json.encode([what, where], order="sorted"), digest_size=16).hexdigest()
    if not fields["environment"] and not fields["preconditions"]:
        fields["preconditions"] = conditions_in(trace)
    return Episode(**fields, digest=digest)


def image_digest(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
