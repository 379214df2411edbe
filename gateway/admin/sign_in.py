"""Signing in, slowed down for those who guess passwords."""

import ipaddress
from typing import Any

import structlog
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.cache import cache
from django.core.exceptions import ValidationError

MAX_ATTEMPTS = 10
WINDOW_SECONDS = 300
# Whoever has an IPv6 address usually has all of its network.
_IPV6_PREFIX = 64

log = structlog.get_logger(__name__)


class SignInForm(AdminAuthenticationForm):
    """Takes a few attempts from a network in some minutes, and then none, not even the right password.

    Attempts are counted before the password is looked at, so that many at once are not more. The count is this
    process's own, and lost when it ends.
    """

    def clean(self) -> dict[str, Any]:
        network = _network(self.request.META.get("REMOTE_ADDR", "") if self.request else "")
        if not _admit(network):
            log.warning("sign_in_refused", network=network)
            raise ValidationError(
                f"Too many attempts. Wait {WINDOW_SECONDS // 60} minutes, then try again.", code="too_many_attempts"
            )
        try:
            cleaned_data: dict[str, Any] = super().clean()
        except ValidationError:
            # Not the name that was typed: people type their passwords there.
            log.warning("sign_in_failed", network=network)
            raise
        cache.delete(_key(network))
        return cleaned_data


def _admit(network: str) -> bool:
    key = _key(network)
    cache.add(key, 0, WINDOW_SECONDS)
    try:
        attempts: int = cache.incr(key)
    except ValueError:  # The window ended in between.
        return True
    return attempts <= MAX_ATTEMPTS


def _key(network: str) -> str:
    return f"sign-in-attempts.{network}"


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:  # noqa: PLR2004
        return str(parsed)
    return str(ipaddress.ip_network((parsed, _IPV6_PREFIX), strict=False).network_address)
