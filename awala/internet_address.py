"""Awala Internet addresses: the domain names by which gateways and Internet endpoints are known (RS-000)."""

import re

# The JVM library's rule, the strictest of the deployed ones: what a node may call itself.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z]{{2,24}}|xn--[a-z0-9-]{{0,58}}[a-z0-9])", re.ASCII)
_MAX_LENGTH = 127


def is_publishable_address(address: str) -> bool:
    """Say whether every deployed node accepts ``address`` as an Internet address."""
    return len(address) <= _MAX_LENGTH and _ADDRESS.fullmatch(address) is not None


def is_same_address(one: str, other: str) -> bool:
    """Compare two addresses as DNS does: letter case and a trailing dot do not matter (RFC 4343)."""
    return one.rstrip(".").lower() == other.rstrip(".").lower()
