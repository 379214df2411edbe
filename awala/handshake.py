"""The handshake that opens a parcel collection (RS-016)."""

from dataclasses import dataclass
from typing import Self

from awala.asn1 import ber, der
from awala.errors import MalformedMessageError
from awala.limits import MAX_HANDSHAKE_SIGNATURES


@dataclass(frozen=True, kw_only=True, slots=True)
class HandshakeChallenge:
    """What the server asks the client to sign: a nonce, 16 octets from us."""

    nonce: bytes

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a challenge.

        :raises MalformedMessageError: if the octets are something else
        """
        nonce = ber.read(octets).expect(ber.SEQUENCE).only_child()
        return cls(nonce=nonce.octets(ber.context(0)))

    def serialize(self) -> bytes:
        """Return the DER encoding."""
        return der.structure(self.nonce)


@dataclass(frozen=True, kw_only=True, slots=True)
class HandshakeResponse:
    """The client's answer: one detached signature of the nonce per node it collects for."""

    nonce_signatures: tuple[bytes, ...]

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a response; no signature is checked.

        :raises MalformedMessageError: if the octets are something else, or hold no signature or too many
        """
        signatures = ber.read(octets).expect(ber.SEQUENCE).only_child().expect(ber.context(0, constructed=True))
        elements = signatures.children(most=MAX_HANDSHAKE_SIGNATURES)
        if not elements:
            raise MalformedMessageError("Handshake response has no signature")
        return cls(nonce_signatures=tuple(element.octets() for element in elements))

    def serialize(self) -> bytes:
        """Return the DER encoding."""
        signatures = b"".join(der.octet_string(signature) for signature in self.nonce_signatures)
        return der.sequence(der.context(0, signatures, constructed=True))
