"""Private keys in the database, each encrypted with AES-256-GCM under a key that the database never sees."""

import json
import os
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from django.utils import timezone

from gateway.errors import KeyUnavailableError, UnknownKeyError
from gateway.keystores.base import SessionKeyEntry
from gateway.models.availability import record_errors
from gateway.models.stored_key import StoredKey

# A sealed key is the nonce, then the ciphertext with its tag.
_NONCE_OCTETS = 12  # 96 bits, as GCM is made for; at random, since 2^32 keys are out of reach.


class DatabaseKeyStore:
    """The key store of installations without a key server."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def save_identity_key(self, node_id: str, private_key: RSAPrivateKey) -> None:
        self._save(StoredKey(kind=StoredKey.Kind.IDENTITY, key_id=node_id, node_id=node_id), private_key)

    def load_identity_key(self, node_id: str) -> RSAPrivateKey:
        row = _find(StoredKey.Kind.IDENTITY, node_id)
        if row is None:
            raise KeyUnavailableError("there is no such identity key")
        private_key = self._open(row)
        if not isinstance(private_key, RSAPrivateKey):
            raise KeyUnavailableError("the identity key is not an RSA key")
        return private_key

    def save_session_key(
        self,
        key_id: bytes,
        private_key: EllipticCurvePrivateKey,
        node_id: str,
        peer_id: str | None = None,
        *,
        created_at: datetime | None = None,
    ) -> None:
        row = StoredKey(
            kind=StoredKey.Kind.SESSION,
            key_id=key_id.hex(),
            node_id=node_id,
            peer_id=peer_id or "",
            created_at=created_at or timezone.now(),
        )
        self._save(row, private_key)

    def load_session_key(self, key_id: bytes, peer_id: str) -> EllipticCurvePrivateKey:
        row = _find(StoredKey.Kind.SESSION, key_id.hex())
        if row is None:
            raise UnknownKeyError("there is no such session key")
        if row.peer_id not in {"", peer_id}:
            raise UnknownKeyError("the session key is bound to another peer")
        return self._open_session_key(row)

    def find_latest_unbound_session_key(self, node_id: str) -> SessionKeyEntry | None:
        with record_errors():
            row = _find_latest_unbound(node_id)
        if row is None:
            return None
        return SessionKeyEntry(
            key_id=bytes.fromhex(row.key_id),
            private_key=self._open_session_key(row),
            created_at=row.created_at,
        )

    def delete_session_keys_created_before(self, moment: datetime, node_id: str, *, limit: int) -> int:
        with record_errors():
            latest = _find_latest_unbound(node_id)
            old = StoredKey.objects.filter(kind=StoredKey.Kind.SESSION, node_id=node_id, created_at__lt=moment)
            if latest is not None:
                old = old.exclude(pk=latest.pk)
            primary_keys = list(old.values_list("pk", flat=True)[:limit])
            return StoredKey.objects.filter(pk__in=primary_keys).delete()[0]

    def _save(self, row: StoredKey, private_key: RSAPrivateKey | EllipticCurvePrivateKey) -> None:
        clear = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        nonce = os.urandom(_NONCE_OCTETS)
        row.sealed = nonce + self._cipher.encrypt(nonce, clear, _context(row))
        with record_errors():
            row.save(force_insert=True)

    def _open(self, row: StoredKey) -> object:
        sealed = bytes(row.sealed)
        nonce, ciphertext = sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:]
        try:
            clear = self._cipher.decrypt(nonce, ciphertext, _context(row))
        except (InvalidTag, ValueError):
            raise KeyUnavailableError(
                f"the {row.kind} key in the database was altered, or encrypted under another KEYSTORE_KEY"
            ) from None
        # The tag proves that these are the octets we wrote; checking the primes again would take milliseconds.
        return load_der_private_key(clear, None, unsafe_skip_rsa_key_validation=True)

    def _open_session_key(self, row: StoredKey) -> EllipticCurvePrivateKey:
        private_key = self._open(row)
        if not isinstance(private_key, EllipticCurvePrivateKey):
            raise KeyUnavailableError("the session key is not an ECDH key")
        return private_key


def _find_latest_unbound(node_id: str) -> StoredKey | None:
    keys = StoredKey.objects.filter(kind=StoredKey.Kind.SESSION, node_id=node_id, peer_id="")
    return keys.order_by("-created_at").first()


def _find(kind: StoredKey.Kind, key_id: str) -> StoredKey | None:
    with record_errors():
        return StoredKey.objects.filter(kind=kind, key_id=key_id).first()


def _context(row: StoredKey) -> bytes:
    """What the encryption binds the key to, so that no row passes for another."""
    return json.dumps([row.kind, row.key_id, row.node_id, row.peer_id]).encode()
