"""The control plane acts: HTTP, the journal, memory, embeddings, the reflector, and the two loops."""


def __getattr__(name: str) -> str:
    """The version is read when it is asked for: reading it takes longer than an agent's hook may."""
    if name == "__version__":
        from importlib.metadata import version

        return version("pointsman")
    raise AttributeError(name)
