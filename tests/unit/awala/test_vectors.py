"""Every message that the deployed libraries made gets the verdict of its manifest, and says what the manifest says.

Each type of message has a judge, which reads a vector, checks it as a gateway (or whoever it is for) would, and
asserts the facts that the manifest gives. Of an invalid vector the judge must raise the error of its reason.
"""

import hashlib
import re
from collections.abc import Callable
from types import MappingProxyType

import pytest

from awala.asn1 import ber, oids
from awala.cms.enveloped_data import EnvelopedData
from awala.connection_params import NodeConnectionParams
from awala.errors import (
    InvalidSignatureError,
    MalformedMessageError,
    UnauthorizedSenderError,
    UntimelyMessageError,
)
from awala.handshake import HandshakeChallenge, HandshakeResponse
from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.messages.cargo_collection_request import CargoCollectionRequest
from awala.messages.cargo_message_set import CargoMessageSet
from awala.messages.certificate_rotation import CertificateRotation
from awala.messages.certification_path import CertificationPath
from awala.messages.parcel import Parcel
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from awala.messages.service_message import ServiceMessage
from awala.parcel_delivery import ParcelDelivery
from awala.pki import keys
from awala.pki.certificate import Certificate
from awala.private_endpoint_params import PrivateEndpointConnParams
from awala.ramf import RAMFMessage
from awala.registration import Registration, RegistrationAuthorization, RegistrationRequest
from awala.session_key import SessionKey
from awala.signatures import verify_detached
from tests import published_vectors as published
from tests.published_vectors import Vector

GATEWAY = published.certificate("internet_gateway")
GATEWAY_ADDRESS = "gateway.example"
NONCE = bytes(range(16))
# Session keys by id, whosever they are.
SESSION_KEYS = MappingProxyType(
    {facts["keyIdHex"]: name for name, facts in published.MANIFEST["keys"].items() if facts["kind"] == "session"}
)


class UnknownSessionKeyError(Exception):
    """The payload is encrypted to a key that nobody here has."""


ERRORS = MappingProxyType(
    {
        "expired": UntimelyMessageError,
        "creation date in the future": UntimelyMessageError,
        "recipient is not the issuer of the PDA": UnauthorizedSenderError,
        "recipient id is not the issuer of the sender certificate": UnauthorizedSenderError,
        "self-issued sender certificate, bound for a private endpoint": UnauthorizedSenderError,
        "sender certificate self-issued, not by the gateway": UnauthorizedSenderError,
        "intermediate certificates not attached": UnauthorizedSenderError,
        "signer certificate expired": UnauthorizedSenderError,
        "signer certificate not issued by the gateway": UnauthorizedSenderError,
        "well-formed, but the PNRA was granted to private_gateway_a (HTTP 403)": UnauthorizedSenderError,
        "one bit of the payload flipped: message-digest mismatch": InvalidSignatureError,
        "one bit of the RSA signature flipped": InvalidSignatureError,
        "signed with a key other than the certified one": InvalidSignatureError,
        "countersignature by another key (HTTP 400)": InvalidSignatureError,
        "format signature does not start with Awala": MalformedMessageError,
        "format version 1": MalformedMessageError,
        "no signature": MalformedMessageError,
        "recipient session key ffffffffffffffff unknown": UnknownSessionKeyError,
    }
)

# ---------------------------------------------------------------- Certificates

CERTIFICATES = MappingProxyType({facts["file"]: facts for facts in published.MANIFEST["certificates"].values()})
BASIC_CONSTRAINTS = MappingProxyType(
    {
        "cert_private_gateway_a.der": (True, 1),
        "cert_private_gateway_a_expired.der": (True, 1),
        "cert_private_gateway_b.der": (True, 1),
        "cert_endpoint_a.der": (True, 0),
        "cert_endpoint_b.der": (True, 0),
        "cert_endpoint_a_self.der": (True, 0),
        "cert_internet_gateway.der": (True, 2),
        "cert_private_gateway_a_self.der": (True, 2),
        "cert_nonminimal_serial.der": (True, 2),
        "cert_cda.der": (True, 1),
        "cert_cda_ca_false.der": (False, 0),
        "cert_pda_a_to_b.der": (False, 0),
        "cert_pda_a_to_internet.der": (False, 0),
        "jvm_cert_endpoint_a.der": (True, 0),
        "jvm_cert_pda.der": (False, 0),
        "jvm_cert_cda.der": (False, 0),
    }
)


def judge_certificate(vector: Vector) -> None:
    certificate = Certificate.parse(vector.octets)
    assert certificate.subject_key_id == hashlib.sha256(certificate.spki_der).digest()
    assert (certificate.is_ca, certificate.path_length) == BASIC_CONSTRAINTS[vector.file]
    assert not certificate.has_unknown_critical_extension
    if stated := re.search(r"cA=(TRUE|FALSE) pathLen=(\d)", vector.facts["what"]):
        assert (certificate.is_ca, certificate.path_length) == (stated[1] == "TRUE", int(stated[2]))
    find_issuer(certificate)
    if facts := CERTIFICATES.get(vector.file):
        assert certificate.node_id == facts["subjectId"]
        assert certificate.serial_number == int(facts["serialHex"], 16)
        assert certificate.not_before == published.time_of(facts["notBefore"])
        assert certificate.not_after == published.time_of(facts["notAfter"])


def find_issuer(certificate: Certificate) -> Certificate:
    """Return the issuer's certificate; its name, key identifier and signature must all say so."""
    for other in (Certificate.parse(vector.octets) for vector in published.of_type("Certificate")):
        if certificate.is_issued_by_name(other) and other.is_ca:
            assert certificate.authority_key_id == other.subject_key_id
            certificate.verify_signature(other)
            return other
    raise AssertionError("Nobody issued this certificate")


def judge_certification_path(vector: Vector) -> None:
    path = CertificationPath.deserialize(vector.octets)
    assert (path.leaf, path.authorities) == (published.certificate("private_gateway_a"), (GATEWAY,))
    assert path.serialize() == vector.octets


def judge_certificate_rotation(vector: Vector) -> None:
    """Trap 4: the JavaScript and the JVM library have an encoding each; we read and write both."""
    rotation = CertificateRotation.deserialize(vector.octets)
    assert rotation.path.leaf == published.certificate("private_gateway_a")
    assert rotation.path.authorities == (GATEWAY,)
    is_jvm = "implicitly tagged" in vector.facts["what"]
    assert vector.octets == (rotation.serialize_implicit() if is_jvm else rotation.serialize())


# ---------------------------------------------------------------- RAMF messages


def check_ramf(message: RAMFMessage, vector: Vector, trusted: Certificate = GATEWAY) -> None:
    """Check a message to a gateway, and the facts that the manifest gives of it."""
    message.check_timing(vector.verify_at)
    message.authorized_path((trusted,), now=vector.verify_at)
    check_ramf_facts(message, vector)


def check_ramf_facts(message: RAMFMessage, vector: Vector) -> None:
    facts = vector.facts
    if "creationDate" in facts:
        assert message.creation_date == published.time_of(facts["creationDate"])
        assert message.expiry == published.time_of(facts["expiry"])
    if "id" in facts:
        assert message.id == facts["id"]
    if "recipient" in facts:
        assert message.recipient.id == facts["recipient"]


def decrypt_payload(message: RAMFMessage, vector: Vector) -> bytes:
    enveloped = EnvelopedData.deserialize(message.payload)
    if enveloped.recipient_key_id.hex() not in SESSION_KEYS:
        raise UnknownSessionKeyError
    name = SESSION_KEYS[enveloped.recipient_key_id.hex()]
    assert name == vector.facts.get("payloadKey", name)
    if "originatorKeyIdHex" in vector.facts:
        assert enveloped.originator_key_id.hex() == vector.facts["originatorKeyIdHex"]
    assert enveloped.originator_session_key().key_id == enveloped.originator_key_id
    return enveloped.decrypt(published.session_private_key(name))


def judge_parcel(vector: Vector) -> None:
    """Trap 1: JavaScript parcels have constructed strings of definite length, JVM ones indefinite lengths."""
    parcel = Parcel.deserialize(vector.octets)
    parcel.check_timing(vector.verify_at)
    check_ramf_facts(parcel, vector)
    if parcel.recipient.internet_address in (None, GATEWAY_ADDRESS):
        path = parcel.authorized_path((GATEWAY,), now=vector.verify_at)
        assert path[-2].node_id == vector.facts.get("privateGateway", path[-2].node_id)
    else:
        parcel.check_sender_certificate(vector.verify_at)
    if vector.file == "jvm_parcel.bin":
        assert parcel.payload == b"\x07" * 2_500
    else:
        assert decrypt_payload(parcel, vector) == published.read("service_message.der")


def judge_cargo(vector: Vector) -> None:
    cargo = Cargo.deserialize(vector.octets)
    check_ramf(cargo, vector, published.certificate(vector.facts.get("trusted", "internet_gateway")))
    items = CargoMessageSet.deserialize(decrypt_payload(cargo, vector)).items
    if "items" in vector.facts:
        assert items == tuple(published.read(file) for file in vector.facts["items"])


def judge_cargo_collection_authorization(vector: Vector) -> None:
    authorization = CargoCollectionAuthorization.deserialize(vector.octets)
    check_ramf(authorization, vector)
    request = CargoCollectionRequest.deserialize(decrypt_payload(authorization, vector))
    assert request.delivery_authorization.node_id == GATEWAY.node_id


def judge_cargo_collection_request(vector: Vector) -> None:
    request = CargoCollectionRequest.deserialize(vector.octets)
    assert request.delivery_authorization.der == published.read(vector.facts["cda"])
    assert request.serialize() == vector.octets


def judge_cargo_message_set(vector: Vector) -> None:
    message_set = CargoMessageSet.deserialize(vector.octets)
    expected = tuple(described_item(item) for item in vector.facts["items"])
    assert message_set.items == expected
    assert message_set.serialize() == vector.octets


def described_item(description: str) -> bytes:
    if acknowledgement := re.fullmatch(r"PCA\((\w+), (\w+), (.+)\)", description):
        return ParcelCollectionAck(
            sender_endpoint_id=published.key_facts(acknowledgement[1])["nodeId"],
            recipient_endpoint_id=published.key_facts(acknowledgement[2])["nodeId"],
            parcel_id=acknowledgement[3],
        ).serialize()
    return published.read(description)


def judge_parcel_collection_ack(vector: Vector) -> None:
    acknowledgement = ParcelCollectionAck.deserialize(vector.octets)
    assert acknowledgement.sender_endpoint_id == vector.facts["senderEndpointId"]
    assert acknowledgement.recipient_endpoint_id == vector.facts["recipientEndpointId"]
    assert acknowledgement.parcel_id == vector.facts["parcelId"]
    assert acknowledgement.serialize() == vector.octets


# ---------------------------------------------------------------- Payloads


def judge_service_message(vector: Vector) -> None:
    message = ServiceMessage.deserialize(vector.octets)
    assert (message.type, message.content) == (vector.facts["mediaType"], vector.facts["contentUtf8"].encode())
    assert message.serialize() == vector.octets


def judge_enveloped_data(vector: Vector) -> None:
    """Trap 7: the two libraries differ in key agreement, and encrypt with CBC."""
    if vector.file == "enveloped_sessionless.der":
        with pytest.raises(MalformedMessageError):
            EnvelopedData.deserialize(vector.octets)
        return
    enveloped = EnvelopedData.deserialize(vector.octets)
    recipient_key = vector.facts["recipientKey"]
    assert enveloped.recipient_key_id.hex() == published.key_facts(recipient_key)["keyIdHex"]
    plaintext = enveloped.decrypt(published.session_private_key(recipient_key))
    if vector.file == "jvm_enveloped.der":
        request = CargoCollectionRequest.deserialize(plaintext)
        assert request.delivery_authorization.der == published.read("jvm_cert_cda.der")
    else:
        assert enveloped.originator_key_id.hex() == vector.facts["originatorKeyIdHex"]
        assert plaintext == published.read(vector.facts["plaintext"])


# ---------------------------------------------------------------- Registration and connection


def session_key(name: str) -> SessionKey:
    return SessionKey(key_id=bytes.fromhex(published.key_facts(name)["keyIdHex"]), public_key_der=published.spki(name))


def judge_authorization(vector: Vector) -> None:
    authorization = RegistrationAuthorization.deserialize(
        vector.octets, published.rsa_public_key("internet_gateway"), now=vector.verify_at
    )
    assert authorization.expiry == published.time_of(vector.facts["expiry"])
    assert authorization.gateway_data == hashlib.sha256(published.spki("private_gateway_a")).digest()


def judge_request(vector: Vector) -> None:
    request = RegistrationRequest.deserialize(vector.octets)
    authorization = RegistrationAuthorization.deserialize(
        request.authorization_serialized, published.rsa_public_key("internet_gateway"), now=vector.verify_at
    )
    assert request.authorization_serialized == published.read("pnra.der")
    # What is in an authorisation is for the gateway to interpret; here, as the reference does.
    if hashlib.sha256(request.public_key_der).digest() != authorization.gateway_data:
        raise UnauthorizedSenderError
    assert request.public_key_der == published.spki("private_gateway_a")


def judge_registration(vector: Vector) -> None:
    registration = Registration.deserialize(vector.octets)
    is_endpoint = "sessionKey" not in vector.facts
    node, issuer = ("endpoint_a", "private_gateway_a") if is_endpoint else ("private_gateway_a", "internet_gateway")
    assert registration.node_certificate == published.certificate(node)
    assert registration.gateway_certificate == published.certificate(issuer)
    assert registration.gateway_internet_address == GATEWAY_ADDRESS
    assert registration.session_key == (None if is_endpoint else session_key(vector.facts["sessionKey"]))
    assert registration.serialize() == vector.octets


def judge_connection_params(vector: Vector) -> None:
    params = NodeConnectionParams.deserialize(vector.octets)
    assert params == NodeConnectionParams(
        internet_address=GATEWAY_ADDRESS,
        identity_key_der=published.spki("internet_gateway"),
        session_key=session_key(vector.facts["sessionKey"]),
    )
    assert params.serialize() == vector.octets


def judge_private_endpoint_params(vector: Vector) -> None:
    params = PrivateEndpointConnParams.deserialize(vector.octets)
    assert params.identity_key_der == published.spki("endpoint_a")
    assert params.internet_gateway_address == GATEWAY_ADDRESS
    assert params.delivery_authorization.leaf == published.certificate("pda_a_to_internet")
    issuers = published.certificate("endpoint_a"), published.certificate("private_gateway_a")
    assert params.delivery_authorization.authorities == issuers
    assert params.session_key == session_key("endpoint_a_session")
    assert params.serialize() == vector.octets


# ---------------------------------------------------------------- Bindings


def judge_challenge(vector: Vector) -> None:
    challenge = HandshakeChallenge.deserialize(vector.octets)
    assert challenge.nonce.hex() == vector.facts["nonceHex"]
    assert challenge.serialize() == vector.octets


def judge_response(vector: Vector) -> None:
    response = HandshakeResponse.deserialize(vector.octets)
    assert response.serialize() == vector.octets
    (signature,) = response.nonce_signatures
    signer = verify_detached(
        signature, NONCE, oids.PARCEL_COLLECTION_HANDSHAKE, trusted=(GATEWAY,), now=vector.verify_at
    )
    assert signer == published.certificate("private_gateway_a")


def judge_detached_signature(vector: Vector) -> None:
    facts = vector.facts
    oid = oids.encode(facts.get("oid", "1.3.6.1.4.1.58708.0.3.1"))
    plaintext = published.read(facts["plaintext"]) if "plaintext" in facts else NONCE
    assert plaintext.hex() == facts.get("plaintextHex", plaintext.hex())
    signer = verify_detached(vector.octets, plaintext, oid, trusted=(GATEWAY,), now=vector.verify_at)
    assert signer == published.certificate("private_gateway_a")


def judge_delivery(vector: Vector) -> None:
    delivery = ParcelDelivery.deserialize(vector.octets)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", delivery.delivery_id)
    assert delivery.parcel_serialized == published.read("parcel_private.bin")[:64]
    assert delivery.serialize() == vector.octets


JUDGES: dict[str, Callable[[Vector], None]] = {
    "Cargo": judge_cargo,
    "CargoCollectionAuthorization": judge_cargo_collection_authorization,
    "CargoCollectionRequest": judge_cargo_collection_request,
    "CargoMessageSet": judge_cargo_message_set,
    "Certificate": judge_certificate,
    "CertificateRotation": judge_certificate_rotation,
    "CertificationPath": judge_certification_path,
    "EnvelopedData": judge_enveloped_data,
    "HandshakeChallenge": judge_challenge,
    "HandshakeResponse": judge_response,
    "NodeConnectionParams": judge_connection_params,
    "Parcel": judge_parcel,
    "ParcelCollectionAck": judge_parcel_collection_ack,
    "ParcelDelivery": judge_delivery,
    "PrivateEndpointConnParams": judge_private_endpoint_params,
    "PrivateNodeRegistration": judge_registration,
    "PrivateNodeRegistrationAuthorization": judge_authorization,
    "PrivateNodeRegistrationRequest": judge_request,
    "ServiceMessage": judge_service_message,
    "detached signature": judge_detached_signature,
}


@pytest.mark.parametrize("vector", published.VECTORS, ids=lambda vector: vector.file)
def test_verdict(vector: Vector) -> None:
    judge = JUDGES[vector.type]
    if vector.is_valid:
        judge(vector)
    else:
        with pytest.raises(ERRORS[vector.facts["reason"]]):
            judge(vector)


@pytest.mark.parametrize("vector", published.VECTORS, ids=lambda vector: vector.file)
def test_octets_are_those_that_were_made(vector: Vector) -> None:
    assert len(vector.octets) == vector.facts["octets"]
    assert hashlib.sha256(vector.octets).hexdigest() == vector.facts["sha256"]


def test_no_file_is_forgotten() -> None:
    keys_files = {facts["pkcs8"] for facts in published.MANIFEST["keys"].values()}
    about = {"README.md", ".gitattributes", "manifest.json"}
    assert {path.name for path in published.FOLDER.iterdir()} == {
        v.file for v in published.VECTORS
    } | keys_files | about


@pytest.mark.parametrize("name", published.MANIFEST["keys"])
def test_keys_belong_together(name: str) -> None:
    facts = published.key_facts(name)
    if facts["kind"] == "rsa":
        assert keys.spki_der(published.rsa_private_key(name).public_key()) == published.spki(name)
        assert keys.node_id(published.spki(name)) == facts["nodeId"]
        assert keys.load_rsa_public_key(published.spki(name)).key_size == facts["modulus"]
    else:
        assert keys.spki_der(published.session_private_key(name).public_key()) == published.spki(name)


# ---------------------------------------------------------------- The traps that these octets show


@pytest.mark.parametrize(
    ("file", "is_indefinite"), [("parcel_private.bin", False), ("jvm_parcel.bin", True)], ids=["JavaScript", "JVM"]
)
def test_parcels_are_no_der(file: str, is_indefinite: bool) -> None:  # noqa: FBT001 - a table's value
    """Trap 1: the content is a constructed string, in the JVM's form of indefinite length throughout."""
    octets = published.read(file)[7:]
    assert (octets[1] == 0x80) is is_indefinite
    signed_data = ber.read(octets).children()[1].only_child()
    content = signed_data.children()[2].children()[1].only_child()
    assert content.tag == ber.OCTET_STRING | ber.CONSTRUCTED


def test_serial_number_that_cryptography_refuses() -> None:
    """Trap 2: one in 512 certificates of the JavaScript library has a needless zero in its serial number."""
    octets = published.read("cert_nonminimal_serial.der")
    assert bytes.fromhex("020800") in octets[:32]
    assert Certificate.parse(octets).serial_number < 2**55


@pytest.mark.parametrize(
    ("file", "encoding"), [("cert_pda_a_to_b.der", "3003020100"), ("jvm_cert_pda.der", "3006010100020100")]
)
def test_basic_constraints_of_delivery_authorizations(file: str, encoding: str) -> None:
    """Trap 2: `cryptography` reads neither encoding."""
    assert Certificate.parse(published.read(file)).extensions[oids.BASIC_CONSTRAINTS].hex() == encoding


def test_delivery_authorizations_by_the_jvm_hold() -> None:
    """The path that a JVM sender attaches: its PDA, the endpoint, the private gateway."""
    vector = next(vector for vector in published.VECTORS if vector.file == "jvm_parcel.bin")
    path = Parcel.deserialize(vector.octets).authorized_path((GATEWAY,), now=vector.verify_at)
    assert path[0].der == published.read("jvm_cert_pda.der")


def test_back_dated_messages() -> None:
    """Trap 12: whoever answers these clients back-dates, as the libraries do: nobody tolerates a future date."""
    cargo = Cargo.deserialize(published.read("cargo_to_private_gateway.bin"))
    assert (published.VERIFY_AT - cargo.creation_date).total_seconds() > 3 * 3_600
