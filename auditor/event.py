"""What every event of the journal has."""

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="kind", forbid_unknown_fields=True):
    """Something that happened to a tenant; `at` is in seconds since the epoch.

    What an event holds refuses fields that it does not know: whoever passed one over would fold another state.

    `by`, where an event has it, is the id of the key that asked for it, "" where no keys are read.
    """

    tenant: str
    at: float

    @property
    def kind(self) -> str:
        return str(self.__struct_config__.tag)

    @property
    def ref(self) -> str:
        """What the event is about: a trace, an episode, a task; the key it is found by."""
        return ""
