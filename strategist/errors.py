"""What can go wrong while choosing.

StrategistError
+-- NoEligibleAction     nothing is left to choose from
+-- SpecMismatch         learnt values belong to another feature spec
+-- BadSpec              a feature spec contradicts itself
+-- BadLog               a logged decision contradicts itself
"""


class StrategistError(Exception):
    """A choice or a fold cannot be made."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or type(self).__doc__)


class NoEligibleAction(StrategistError):
    """Every action is masked; give at least one candidate that no mask removes."""


class SpecMismatch(StrategistError):
    """These learnt values were made for another feature spec; start a fresh table or replay the journal."""


class BadSpec(StrategistError):
    """The feature spec names a feature it does not define, or defines one badly."""


class BadLog(StrategistError):
    """A logged decision contradicts itself; correct the row, or leave it out."""
