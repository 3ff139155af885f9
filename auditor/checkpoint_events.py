"""What operators do with checkpoints, as events."""

from .event import Event


class Checkpointed(Event, frozen=True, kw_only=True, tag="checkpoint"):
    """An operator named the learnt state of this moment."""

    checkpoint_id: str
    name: str
    seq: int  # the prefix it holds
    size_bytes: int
    by: str = ""

    @property
    def ref(self) -> str:
        return self.checkpoint_id


class Restored(Event, frozen=True, kw_only=True, tag="restored"):
    """The fold goes back to the prefix a checkpoint names; what came between stays logged but unlearnt."""

    checkpoint_id: str
    seq: int
    by: str = ""

    @property
    def ref(self) -> str:
        return self.checkpoint_id


class CheckpointsPruned(Event, frozen=True, kw_only=True, tag="checkpoints_pruned"):
    """An operator let go of checkpoints, whose files had this size together."""

    checkpoint_ids: tuple[str, ...]
    freed_bytes: int
    by: str = ""
