"""What the Prometheus Operator's CRDs require of the two kinds we use.

Written by us after its API reference, and no more of it than our manifests use: a field that is not here is refused.
"""

from typing import Any

Schema = dict[str, Any]


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "minItems": 1, "items": items}


def _kind(kind: str, spec: Schema) -> Schema:
    return _object(
        ["apiVersion", "kind", "metadata", "spec"],
        apiVersion={"const": "monitoring.coreos.com/v1"},
        kind={"const": kind},
        metadata={"type": "object", "required": ["name"]},
        spec=spec,
    )


TEXT: Schema = {"type": "string", "minLength": 1}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION: Schema = {"type": "string", "pattern": r"^(\d+(ms|[smhdwy]))+$"}
KEY = _object(["name", "key"], name=TEXT, key=TEXT)

ENDPOINT = _object(
    ["port"],
    port=TEXT,
    path={"type": "string", "pattern": "^/"},
    interval=DURATION,
    authorization=_object(["credentials"], credentials=KEY),
)
RULE: Schema = {
    **_object(["expr"], alert=TEXT, record=TEXT, expr=TEXT, **{"for": DURATION}, labels=TEXTS, annotations=TEXTS),
    "oneOf": [{"required": ["alert"]}, {"required": ["record"]}],
}
SCHEMAS = {
    "ServiceMonitor": _kind(
        "ServiceMonitor",
        _object(
            ["selector", "endpoints"], selector=_object(["matchLabels"], matchLabels=TEXTS), endpoints=_list(ENDPOINT)
        ),
    ),
    "PrometheusRule": _kind(
        "PrometheusRule",
        _object(["groups"], groups=_list(_object(["name", "rules"], name=TEXT, rules=_list(RULE)))),
    ),
}
