"""What folding one event did."""

import msgspec

from .answers import Answer, Learned
from .changes import Change
from .drift import Alarm
from .ledger import Use


class Applied(msgspec.Struct, frozen=True):
    """The answer to whoever sent it, the decisions that were learnt, the alarms that raised."""

    answer: Answer = None
    learned: tuple[Learned, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    near: tuple[Use, ...] = ()  # limits that are nearly reached
    changes: tuple[Change, ...] = ()  # in how much memories are trusted
