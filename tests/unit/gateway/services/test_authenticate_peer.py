from datetime import timedelta

import pytest

from awala.asn1 import oids
from awala.errors import InvalidMessageError, InvalidSignatureError, MalformedMessageError, UnauthorizedSenderError
from awala.handshake import HandshakeResponse
from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.pki.certificate import Certificate
from awala.signatures import sign_detached
from gateway.models import Peer
from gateway.services.authenticate_peer import (
    authenticate_collector,
    authenticate_delivery,
    authenticate_sender,
)
from tests import factories, published_vectors
from tests.factories import NOW
from tests.unit.gateway.factories import make_peer

pytestmark = pytest.mark.django_db(transaction=True)

NONCE = bytes(range(16))
VERIFY_AT = published_vectors.VERIFY_AT


def sign(certificate: Certificate, plaintext: bytes = NONCE, oid: bytes = oids.PARCEL_COLLECTION_HANDSHAKE) -> bytes:
    key = factories.private_key_of(certificate)
    return sign_detached(plaintext, oid, private_key=key, certificate=certificate)


def certify(root: Certificate, name: str = "private gateway") -> Certificate:
    return factories.gateway_certificate(name, issuer=root)


def test_collector(identity: Certificate) -> None:
    certificate = certify(identity)

    assert authenticate_collector([sign(certificate)], NONCE, NOW) == {certificate.node_id}


def test_collector_for_several_peers(identity: Certificate) -> None:
    certificates = [certify(identity, "one"), certify(identity, "two")]
    signatures = [sign(certificate) for certificate in (*certificates, certificates[0])]

    ids = authenticate_collector(signatures, NONCE, NOW)

    assert ids == {certificate.node_id for certificate in certificates}


def test_collectors_have_been_seen(identity: Certificate) -> None:
    certificate = certify(identity)
    peer = make_peer(node_id=certificate.node_id, last_seen_at=NOW - timedelta(days=1))
    another = make_peer(last_seen_at=NOW - timedelta(days=1))

    authenticate_collector([sign(certificate)], NONCE, NOW)

    assert Peer.objects.get(id=peer.id).last_seen_at == NOW
    assert Peer.objects.get(id=another.id).last_seen_at == another.last_seen_at


def test_delivery(identity: Certificate) -> None:
    certificate = certify(identity)
    signature = sign(certificate, b"parcel", oids.PARCEL_DELIVERY)

    assert authenticate_delivery(signature, b"parcel", NOW) == certificate.node_id


def test_one_bad_signature_spoils_all(identity: Certificate) -> None:
    signatures = [sign(certify(identity)), sign(factories.gateway_certificate("stranger"))]

    with pytest.raises(UnauthorizedSenderError):
        authenticate_collector(signatures, NONCE, NOW)


def test_signatures_that_do_not_hold(identity: Certificate) -> None:
    certificate = certify(identity)

    with pytest.raises(InvalidSignatureError):
        authenticate_collector([sign(certificate)], bytes(16), NOW)
    with pytest.raises(InvalidSignatureError):
        authenticate_delivery(sign(certificate), NONCE, NOW)
    with pytest.raises(MalformedMessageError):
        authenticate_delivery(b"Hello", NONCE, NOW)


def test_certificate_that_has_expired(identity: Certificate) -> None:
    certificate = factories.gateway_certificate("private gateway", issuer=identity, not_after=NOW)
    signature = sign(certificate)

    assert authenticate_collector([signature], NONCE, NOW)
    with pytest.raises(UnauthorizedSenderError):
        authenticate_collector([signature], NONCE, NOW + timedelta(seconds=1))


def test_peer_s_endpoint_is_no_peer(identity: Certificate) -> None:
    """Nothing but the signer's certificate is attached, so the signer stands directly under us."""
    endpoint = factories.endpoint_certificate(issuer=certify(identity))

    with pytest.raises(UnauthorizedSenderError):
        authenticate_collector([sign(endpoint)], NONCE, NOW)


# ---------------------------------------------------------------- What the deployed libraries made


@pytest.mark.parametrize("file", ["handshake_response.der", "jvm_handshake_response.der"])
def test_handshake_of_a_deployed_client(vector_identity: Certificate, file: str) -> None:
    """Trap 1: the JVM's are BER of indefinite length."""
    response = HandshakeResponse.deserialize(published_vectors.read(file))

    ids = authenticate_collector(response.nonce_signatures, NONCE, VERIFY_AT)

    assert ids == {published_vectors.certificate("private_gateway_a").node_id}


def test_countersignature_of_a_deployed_client(vector_identity: Certificate) -> None:
    signature = published_vectors.read("parcel_countersignature.der")
    parcel = published_vectors.read("parcel_private.bin")

    peer_id = authenticate_delivery(signature, parcel, VERIFY_AT)

    assert peer_id == published_vectors.certificate("private_gateway_a").node_id


@pytest.mark.parametrize("file", ["nonce_signature_expired_cert.der", "nonce_signature_untrusted.der"])
def test_signature_that_is_refused(vector_identity: Certificate, file: str) -> None:
    with pytest.raises(InvalidMessageError):
        authenticate_collector([published_vectors.read(file)], NONCE, VERIFY_AT)


def test_sender_of_cargo(vector_identity: Certificate) -> None:
    cargo = Cargo.deserialize(published_vectors.read("cargo_to_gateway.bin"))

    assert authenticate_sender(cargo, VERIFY_AT) == published_vectors.certificate("private_gateway_a").node_id


def test_sender_of_a_cca(vector_identity: Certificate) -> None:
    cca = CargoCollectionAuthorization.deserialize(published_vectors.read("cca.bin"))

    assert authenticate_sender(cca, VERIFY_AT) == published_vectors.certificate("private_gateway_a").node_id


def test_sender_that_certifies_itself(vector_identity: Certificate) -> None:
    cargo = Cargo.deserialize(published_vectors.read("cargo_self_issued_sender.bin"))

    with pytest.raises(UnauthorizedSenderError):
        authenticate_sender(cargo, VERIFY_AT)


def test_sender_for_another_gateway(vector_identity: Certificate) -> None:
    cca = CargoCollectionAuthorization.deserialize(published_vectors.read("cca_other_gateway.bin"))

    with pytest.raises(UnauthorizedSenderError):
        authenticate_sender(cca, VERIFY_AT)
