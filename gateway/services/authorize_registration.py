"""Lets a private gateway that names its key register it within the next ten seconds, once (RS-000, PNRA)."""

import secrets
from datetime import datetime, timedelta

from awala.registration import RegistrationAuthorization
from gateway.services.load_identity import load_identity

KEY_DIGEST_SIZE = 32
NONCE_SIZE = 16
# The expiry is cut to whole seconds, so that an authorisation lives for nine to ten of them.
_LIFETIME = timedelta(seconds=10)


def authorize_registration(key_digest: bytes, now: datetime) -> bytes:
    """The serialised PNRA for the key with this SHA-256 digest (32 octets)."""
    identity = load_identity(now)
    authorization = RegistrationAuthorization(
        expiry=(now + _LIFETIME).replace(microsecond=0),
        gateway_data=key_digest + secrets.token_bytes(NONCE_SIZE),
    )
    return authorization.serialize(identity.private_key)
