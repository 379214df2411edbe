"""Session keys (RS-003): P-256 only, the one curve that both deployed libraries import."""

import secrets
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from awala.asn1 import ber, der
from awala.errors import InvalidArgumentError, MalformedMessageError
from awala.pki.keys import spki_der

_KEY_ID_SIZE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionKey:
    """The public half of a session key: an opaque id and a DER SubjectPublicKeyInfo.

    :raises InvalidArgumentError: if the key is no P-256 key, or the id is empty
    """

    key_id: bytes
    public_key_der: bytes

    def __post_init__(self) -> None:
        if not self.key_id:
            raise InvalidArgumentError("Session key id is empty")
        try:
            key = load_der_public_key(self.public_key_der)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise InvalidArgumentError("Session key is malformed") from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise InvalidArgumentError("Session key is no P-256 key")

    @classmethod
    def from_element(cls, element: ber.Element) -> Self:
        """Read the members ``id`` and ``publicKey`` (an OCTET STRING, as in node registrations).

        :raises MalformedMessageError: if they are no session key
        """
        match element.children(most=2):
            case [key_id, public_key]:
                pass
            case _:
                raise MalformedMessageError("SessionKey does not have two members")
        try:
            return cls(key_id=key_id.octets(ber.context(0)), public_key_der=public_key.octets(ber.context(1)))
        except InvalidArgumentError as error:
            raise MalformedMessageError(str(error)) from error

    def members(self) -> bytes:
        """Return the encoded members, to stand in an implicitly tagged structure."""
        return der.context(0, self.key_id) + der.context(1, self.public_key_der)


def generate_session_key() -> tuple[SessionKey, ec.EllipticCurvePrivateKey]:
    """Return a new key pair with a random id of 8 octets (RS-003)."""
    private_key = ec.generate_private_key(ec.SECP256R1())
    key_id = secrets.token_bytes(_KEY_ID_SIZE)
    return SessionKey(key_id=key_id, public_key_der=spki_der(private_key.public_key())), private_key
