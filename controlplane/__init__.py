"""The control plane acts: HTTP, the journal, memory, embeddings, the reflector, and the two loops."""

from importlib.metadata import version

__version__ = version("pointsman")
