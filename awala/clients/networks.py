"""Which IP addresses strangers may send us to: those that the whole Internet can reach, and no others.

Whoever owns a domain name chooses the address behind it. Without this check they could make the gateway connect to
what only its own machine or network can reach (server-side request forgery).
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Lists of our own, since what `ipaddress` calls global differs between versions of Python.
_REFUSED_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # "This" network: Linux takes it for loopback.
        "10.0.0.0/8",  # Private.
        "100.64.0.0/10",  # Shared: carrier-grade NAT, and the insides of clouds.
        "127.0.0.0/8",  # Loopback.
        "169.254.0.0/16",  # Link-local, where clouds serve credentials.
        "172.16.0.0/12",  # Private.
        "192.0.0.0/24",  # IETF assignments.
        "192.0.2.0/24",  # Documentation.
        "192.88.99.0/24",  # Relays from 6to4, deprecated.
        "192.168.0.0/16",  # Private.
        "198.18.0.0/15",  # Benchmarks.
        "198.51.100.0/24",  # Documentation.
        "203.0.113.0/24",  # Documentation.
        "224.0.0.0/4",  # Multicast.
        "240.0.0.0/4",  # Reserved, and broadcast.
    )
)
# All that is assigned to hosts of the Internet; unspecified, loopback, private, link-local, multicast are outside.
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_REFUSED_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF assignments, among them Teredo, which hides an IPv4 address.
        "2001:db8::/32",  # Documentation.
        "3fff::/20",  # Documentation.
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


class NetworkRules:
    """Tells addresses that may be connected to from others; those in ``allowed_networks`` may be in any case."""

    def __init__(self, allowed_networks: Iterable[Network | str] = ()) -> None:
        self._allowed = tuple(ip_network(network) for network in allowed_networks)

    def permit(self, address: Address) -> bool:
        """Say whether ``address`` may be connected to; an IPv4 address inside an IPv6 one counts as well."""
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            return False
        if self._is_allowed(address):
            return True
        embedded = None if isinstance(address, IPv4Address) else _embedded_ipv4(address)
        return self.permit(embedded) if embedded else _is_public(address)

    def _is_allowed(self, address: Address) -> bool:
        return any(address in network for network in self._allowed)


def read_literal(host: str) -> Address | None:
    """Return the address that ``host`` is, or ``None`` if it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_IPV4)
    return address in _GLOBAL_IPV6 and not any(address in network for network in _REFUSED_IPV6)
