"""Every decoder of awala/, as a function that reads octets and then everything that is read on demand.

Property tests and fuzz targets share them. Each returns or raises an InvalidMessageError, whatever the octets.
"""

import contextlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from awala.asn1 import ber, oids
from awala.cms.enveloped_data import EnvelopedData
from awala.cms.signed_data import verify_signed_data
from awala.connection_params import NodeConnectionParams
from awala.errors import InvalidMessageError
from awala.handshake import HandshakeChallenge, HandshakeResponse
from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.messages.cargo_collection_request import CargoCollectionRequest
from awala.messages.cargo_message_set import CargoMessageSet
from awala.messages.certificate_rotation import CertificateRotation
from awala.messages.certification_path import CertificationPath
from awala.messages.parcel import Parcel
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from awala.messages.ping import Ping
from awala.messages.service_message import ServiceMessage
from awala.parcel_delivery import ParcelDelivery
from awala.pki import keys
from awala.pki.certificate import Certificate
from awala.pki.path import build_path
from awala.private_endpoint_params import PrivateEndpointConnParams
from awala.ramf import RAMFMessage
from awala.registration import Registration, RegistrationAuthorization, RegistrationRequest
from awala.signatures import verify_detached
from tests import published_vectors as published

Decoder = Callable[[bytes], object]

_GATEWAY = published.certificate("internet_gateway")
_ROOTS = (_GATEWAY, published.certificate("private_gateway_a_self"))
_NOW = published.VERIFY_AT
_SESSION_KEYS = MappingProxyType(
    {
        bytes.fromhex(facts["keyIdHex"]): published.session_private_key(name)
        for name, facts in published.MANIFEST["keys"].items()
        if facts["kind"] == "session"
    }
)


def read_ber(octets: bytes) -> None:
    """Read every element in every way that there is."""
    unread = [ber.read(octets)]
    while unread:
        element = unread.pop()
        for read in (element.octets, element.text, element.integer, element.boolean, element.time, element.only_child):
            _attempt(read)
        if element.tag & ber.CONSTRUCTED:
            unread.extend(element.children(most=len(octets)))


def _attempt(read: Callable[[], object]) -> None:
    with contextlib.suppress(InvalidMessageError):
        read()


def read_certificate(octets: bytes) -> None:
    certificate = Certificate.parse(octets)
    assert certificate.der == octets
    for read in (lambda: certificate.authority_key_id, lambda: certificate.subject_key_id, certificate.public_key):
        _attempt(read)
    _attempt(lambda: certificate.verify_signature(certificate))
    build_path(certificate, (certificate, *_ROOTS), _ROOTS, now=_NOW)


def check_message(message: RAMFMessage) -> None:
    message.check_timing(_NOW)
    message.check_sender_certificate(_NOW)
    message.authorized_path(_ROOTS, now=_NOW)


def read_enveloped_data(octets: bytes) -> None:
    enveloped = EnvelopedData.deserialize(octets)
    _attempt(enveloped.originator_session_key)
    # An unknown key id need not stop the search for something that decryption trips over.
    key = _SESSION_KEYS.get(enveloped.recipient_key_id, next(iter(_SESSION_KEYS.values())))
    enveloped.decrypt(key)


def read_handshake_response(octets: bytes) -> None:
    for signature in HandshakeResponse.deserialize(octets).nonce_signatures:
        _attempt(lambda signature=signature: verify_nonce_signature(signature))  # type: ignore[misc] # bound at once


def verify_nonce_signature(signature: bytes) -> Certificate:
    """Return the signer of the nonce that the vectors sign."""
    nonce, oid = bytes(range(16)), oids.PARCEL_COLLECTION_HANDSHAKE
    return verify_detached(signature, nonce, oid, trusted=_ROOTS, now=_NOW)


def read_authorization(octets: bytes) -> RegistrationAuthorization:
    return RegistrationAuthorization.deserialize(octets, published.rsa_public_key("internet_gateway"), now=_NOW)


DECODERS: Mapping[str, Decoder] = MappingProxyType(
    {
        "BER": read_ber,
        "certificate": read_certificate,
        "public key": keys.load_rsa_public_key,
        "SignedData": verify_signed_data,
        "EnvelopedData": read_enveloped_data,
        "parcel": lambda octets: check_message(Parcel.deserialize(octets)),
        "cargo": lambda octets: check_message(Cargo.deserialize(octets)),
        "CCA": lambda octets: check_message(CargoCollectionAuthorization.deserialize(octets)),
        "CCR": CargoCollectionRequest.deserialize,
        "cargo message set": CargoMessageSet.deserialize,
        "certificate rotation": CertificateRotation.deserialize,
        "certification path": CertificationPath.deserialize,
        "PCA": ParcelCollectionAck.deserialize,
        "service message": ServiceMessage.deserialize,
        "ping": Ping.deserialize,
        "PNRA": read_authorization,
        "PNRR": RegistrationRequest.deserialize,
        "PNR": Registration.deserialize,
        "connection params": NodeConnectionParams.deserialize,
        "private endpoint params": PrivateEndpointConnParams.deserialize,
        "handshake challenge": HandshakeChallenge.deserialize,
        "handshake response": read_handshake_response,
        "nonce signature": verify_nonce_signature,
        "parcel delivery": ParcelDelivery.deserialize,
    }
)
