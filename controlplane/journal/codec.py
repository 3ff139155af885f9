"""Events and records as bytes: JSON, so that a journal can be read with any SQLite tool."""

import msgspec

from auditor.answers import Learned
from auditor.events import AnyEvent

_encoder = msgspec.json.Encoder()
_events: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
_learned = msgspec.json.Decoder(Learned)

encode_event = encode_learned = _encoder.encode


def decode_event(payload: bytes) -> AnyEvent:
    return _events.decode(payload)


def decode_learned(payload: bytes) -> Learned:
    return _learned.decode(payload)
