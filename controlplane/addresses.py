"""Addresses as they are written: where a server is found, and what names no host."""

from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "::1", "localhost")  # what this machine calls itself


def refuse_unreachable(url: str) -> None:
    """Raises ValueError, which quotes nothing of it, for an address that names no host or no port there can be."""
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named:
        scheme = url.partition("://")[0]
        raise ValueError(f"takes {scheme}://HOST/..., with a :PORT of 1 to 65535 where there is one")


def refuse_unclear(url: str) -> None:
    """Raises ValueError, which quotes nothing of it, for a PostgreSQL address that may be read in more than one way.

    A `/`, `#`, `?` or `@` of a password that is not percent-encoded moves a part of it to where a host or a port is.
    """
    scheme, _, rest = url.partition("://")
    try:
        named = urlsplit(url).netloc
    except ValueError:
        named = ""
    if rest.count("@") > named.count("@") or named.count("@") > 1 or "#" in rest:
        raise ValueError(
            f"takes {scheme}://USER:PASSWORD@HOST/NAME, and what is no letter or digit in the password is"
            " percent-encoded: / is %2F, # is %23, ? is %3F, @ is %40"
        )
    for host in named.rpartition("@")[2].split(","):  # of several the first that answers is taken
        refuse_unreachable(f"{scheme}://{host}")


def address(host: str, port: int) -> str:
    """Where a server is found.

    >>> address("127.0.0.1", 8080), address("::1", 8080)
    ('http://127.0.0.1:8080', 'http://[::1]:8080')
    """
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
