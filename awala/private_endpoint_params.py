"""PrivateEndpointConnParams: how an Internet endpoint is to reach a private one (RS-000)."""

from dataclasses import dataclass
from typing import Self

from awala.asn1 import ber, der
from awala.errors import InvalidArgumentError, MalformedMessageError
from awala.messages.certification_path import CertificationPath
from awala.session_key import SessionKey


@dataclass(frozen=True, kw_only=True, slots=True)
class PrivateEndpointConnParams:
    """A private endpoint's identity key (DER SubjectPublicKeyInfo), gateway, delivery authorisation and session key.

    The leaf of ``delivery_authorization`` is the sender's PDA. Both deployed libraries embed keys and
    certificates here as structures, and not in OCTET STRINGs as elsewhere.
    """

    identity_key_der: bytes
    internet_gateway_address: str
    delivery_authorization: CertificationPath
    session_key: SessionKey

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read the parameters; no certificate is validated.

        :raises MalformedMessageError: if the octets are something else
        :raises InvalidSignatureError: if a certificate is signed with an algorithm that RS-018 bans
        """
        identity_key, address, authorization, session_key = ber.read(octets).members(4)
        return cls(
            identity_key_der=_as_sequence(identity_key, 0),
            internet_gateway_address=address.text(ber.context(1)),
            delivery_authorization=CertificationPath.deserialize(_as_sequence(authorization, 2)),
            session_key=_parse_session_key(session_key.expect(ber.context(3, constructed=True))),
        )

    def serialize(self) -> bytes:
        """Return the DER encoding."""
        session_key = der.context(0, self.session_key.key_id) + _retag(self.session_key.public_key_der, 1)
        return der.sequence(
            _retag(self.identity_key_der, 0),
            der.context(1, der.visible_string_content(self.internet_gateway_address)),
            _retag(self.delivery_authorization.serialize_implicit(), 2),
            der.context(3, session_key, constructed=True),
        )


def _retag(sequence: bytes, number: int) -> bytes:
    """Return a SEQUENCE tagged implicitly."""
    return bytes((ber.context(number, constructed=True),)) + sequence[1:]


def _as_sequence(element: ber.Element, number: int) -> bytes:
    """Return the SEQUENCE that was tagged implicitly."""
    return bytes((ber.SEQUENCE,)) + element.expect(ber.context(number, constructed=True)).raw[1:]


def _parse_session_key(element: ber.Element) -> SessionKey:
    match element.children(most=2):
        case [key_id, public_key]:
            pass
        case _:
            raise MalformedMessageError("SessionKey does not have two members")
    try:
        return SessionKey(key_id=key_id.octets(ber.context(0)), public_key_der=_as_sequence(public_key, 1))
    except InvalidArgumentError as error:
        raise MalformedMessageError(str(error)) from error
