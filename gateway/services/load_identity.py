"""The gateway's own identity, as every use case needs it: id, key, and the certificates that it trusts."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from django.conf import settings

from awala.internet_address import is_same_address
from awala.pki.certificate import Certificate
from awala.pki.path import VerifiedLinks
from awala.ramf import Recipient
from gateway.errors import KeyUnavailableError
from gateway.keystores import get_keystore
from gateway.models import OwnCertificate, record_errors

# A certificate issued by another process is noticed after this time; until then the older one does, since both
# certify the same key.
_MAX_AGE = timedelta(seconds=60)

# Links between certificates that this process has found signed: the same peers' certificates come again and again.
VERIFIED_LINKS: Final = VerifiedLinks()


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who this gateway is. `certificates` are all unexpired ones, the one that issues first."""

    node_id: str
    internet_address: str
    private_key: RSAPrivateKey = field(repr=False)
    certificates: tuple[Certificate, ...]
    loaded_at: datetime

    @property
    def issuer_certificate(self) -> Certificate:
        return self.certificates[0]

    def serves(self, recipient: Recipient) -> bool:
        """Whether parcels for this recipient end at a private gateway of ours, not elsewhere on the Internet."""
        address = recipient.internet_address
        return address is None or is_same_address(address, self.internet_address)


# The last identity loaded. Replaced whole, so that threads need no lock; two of them may load it at once.
_loaded: Identity | None = None


def load_identity(now: datetime) -> Identity:
    """The identity made by `ensure_identity`; raises `KeyUnavailableError` before that, or if the key is gone."""
    global _loaded  # noqa: PLW0603 - a cache of one
    identity = _loaded
    if identity is None or now - identity.loaded_at > _MAX_AGE:
        identity = _loaded = _read(now)
    return identity


def forget_identity() -> None:
    """Read the identity anew at the next use, since it has changed."""
    global _loaded  # noqa: PLW0603 - a cache of one
    _loaded = None


def _read(now: datetime) -> Identity:
    with record_errors():
        rows = list(OwnCertificate.objects.filter(expires_at__gt=now).order_by("-sequence"))
    if not rows:
        raise KeyUnavailableError("the gateway has no valid certificate of its own")
    node_id = rows[0].node_id
    return Identity(
        node_id=node_id,
        internet_address=settings.INTERNET_ADDRESS,
        private_key=get_keystore().load_identity_key(node_id),
        certificates=tuple(Certificate.parse(bytes(row.certificate_der)) for row in rows),
        loaded_at=now,
    )
