"""Which network addresses are public.

Standard library only, because the API asks too. The rule is our own: an address is public when it can be reached
from anywhere, and one that wraps another is judged by what it wraps.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["is_exempt", "is_public"]

# Spelled out, because versions of Python differ in what they call global.
_NEVER_V4 = tuple(
    IPv4Network(network)
    for network in ("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/3")
)
_UNICAST_V6 = IPv6Network("2000::/3")
_NEVER_V6 = tuple(IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = IPv6Network("::/96")
_TRANSLATED = IPv6Network("::ffff:0:0:0/96")
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
_LAST_32_BITS = 0xFFFF_FFFF


def is_public(address: str) -> bool:
    """Whether ``address`` is globally reachable, it and every IPv4 address it carries; what is no address is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return _is_public_v4(parsed)
    # A zone names an interface of this machine, so nothing that carries one is far away.
    if parsed.scope_id is not None:
        return False
    wrapped = list(_wrapped(parsed))
    if wrapped:
        return all(_is_public_v4(inner) for inner in wrapped)
    return parsed in _UNICAST_V6 and not any(parsed in network for network in _NEVER_V6)


def is_exempt(host: str, port: int, allowed_hosts: Sequence[str]) -> bool:
    """Whether the operator allowed ``host`` by name, for every port (``intranet.local``) or one (``[::1]:8080``)."""
    name = _bare(host)
    return any(
        entry_name == name and entry_port in {None, port} for entry_name, entry_port in map(_entry, allowed_hosts)
    )


def _is_public_v4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in network for network in _NEVER_V4)


def _wrapped(address: IPv6Address) -> Iterator[IPv4Address]:
    number = int(address)
    last = IPv4Address(number & _LAST_32_BITS)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address in _COMPATIBLE or address in _TRANSLATED or any(address in network for network in _NAT64):
        yield last
    elif address.sixtofour is not None:
        yield address.sixtofour
    elif address.teredo is not None:
        yield from address.teredo
    elif number >> 32 & _LAST_32_BITS in _ISATAP:
        yield last


def _entry(entry: str) -> tuple[str, int | None]:
    host, colon, port = entry.strip().rpartition(":")
    if colon and port.isdecimal() and (":" not in host or host.endswith("]")):
        return _bare(host), int(port)
    return _bare(entry.strip()), None


def _bare(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
