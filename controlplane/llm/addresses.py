"""Which addresses may be connected to: a name of the public network never leads into a private one."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from ..errors import BadSetting

Resolve = Callable[[str, int], Awaitable[list[str]]]
_PRIVATE_NAMES = (".localhost", ".local", ".lan", ".internal", ".home.arpa")


class AddressRefused(OSError):
    """A name leads where it may not."""


class Origin:
    """The host of a base URL that an operator set.

    Raises:
      BadSetting: it is none that a key could be sent to.
    """

    def __init__(self, base_url: str, *, keyed: bool) -> None:
        parts = urlsplit(base_url)
        self.host, self.secure = parts.hostname or "", parts.scheme == "https"
        self.url, self.port = base_url.rstrip("/"), parts.port or (443 if self.secure else 80)
        self.literal = _literal(self.host)
        self.private = names_a_private_host(self.host)
        if not self.host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
            raise BadSetting("a provider's base URL takes http(s)://HOST/PATH and nothing behind it")
        if " " in base_url or not base_url.isprintable():
            raise BadSetting("a provider's base URL holds no white space and no mark that is not seen")
        if parts.username or parts.password:
            raise BadSetting("a provider's base URL holds no user and no password: the key has a setting of its own")
        if keyed and not self.secure and not self.private:
            raise BadSetting("a key is sent to a public host over https only")
        if self.literal and never(self.literal):
            raise BadSetting("a provider's base URL leads to an address of this link only")

    def allows(self, address: str) -> bool:
        """Whether the host may have this address."""
        found = ip_address(address.partition("%")[0])
        return not never(found) and (self.private or _plain(found).is_global)

    async def addresses(self, resolve: Resolve) -> list[str]:
        """Where the host is.

        Raises:
          AddressRefused: one of its addresses is private, and the operator's URL names no private host.
        """
        found = [self.host] if self.literal else await resolve(self.host, self.port)
        if not found or not all(map(self.allows, found)):
            raise AddressRefused("the host's name leads to an address it may not have")
        return found


def names_a_private_host(host: str) -> bool:
    """Whether whoever wrote it meant a machine of their own network.

    >>> [names_a_private_host(h) for h in ("localhost", "ollama", "10.0.0.5", "api.openai.com", "8.8.8.8")]
    [True, True, True, False, False]
    """
    literal = _literal(host)
    if literal:
        return not literal.is_global
    return "." not in host or host.endswith(_PRIVATE_NAMES)


def never(address: IPv4Address | IPv6Address) -> bool:
    """Addresses nobody's provider has: where clouds keep credentials, and what is no single machine.

    >>> [never(ip_address(a)) for a in ("169.254.169.254", "::ffff:169.254.169.254", "0.0.0.0", "127.0.0.1")]
    [True, True, True, False]
    """
    plain = _plain(address)
    return plain.is_link_local or plain.is_multicast or plain.is_unspecified


async def system_addresses(host: str, port: int) -> list[str]:
    """What the operating system says where a host is."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address in its IPv6 clothes, without them."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
