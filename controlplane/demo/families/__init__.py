"""What can go wrong, and what goes right: each family is a handful of jobs in folders that differ."""

from .archive import ARCHIVE
from .database import DATABASE
from .document import DOCUMENT
from .encoding import ENCODING
from .family import Aside, Family, Job, Lock, Phrase, Port, Scene
from .folder import FOLDER
from .git import GIT
from .header import HEADER
from .merge import MERGE
from .module import MODULE
from .permission import PERMISSION
from .port import PORT
from .program import PROGRAM
from .service import SERVICE
from .variable import VARIABLE
from .workdir import WORKDIR

FAMILIES = (
    MODULE, WORKDIR, GIT, MERGE, DATABASE, PORT, SERVICE, HEADER, DOCUMENT, ARCHIVE, PROGRAM, PERMISSION, FOLDER,
    VARIABLE, ENCODING,
)  # fmt: skip

__all__ = ["FAMILIES", "Aside", "Family", "Job", "Lock", "Phrase", "Port", "Scene"]
