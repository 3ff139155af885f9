"""What can go wrong, and what goes right: each family is a handful of jobs in folders that differ."""

from .family import Family, Job, Phrase, Scene
from .git import GIT
from .module import MODULE
from .workdir import WORKDIR

FAMILIES = (MODULE, WORKDIR, GIT)

__all__ = ["FAMILIES", "Family", "Job", "Phrase", "Scene"]
