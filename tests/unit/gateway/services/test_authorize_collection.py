import hashlib
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from django.db import OperationalError

from awala.errors import (
    DecryptionError,
    InvalidMessageError,
    InvalidSignatureError,
    MalformedMessageError,
    UnauthorizedSenderError,
    UntimelyMessageError,
)
from awala.pki.certificate import Certificate
from awala.ramf import Recipient
from awala.session_key import generate_session_key
from gateway.errors import KeyUnavailableError, RecordUnavailableError, UnknownKeyError
from gateway.keystores import get_keystore
from gateway.keystores.database import DatabaseKeyStore
from gateway.models import Peer
from gateway.services.authorize_collection import authorize_collection
from tests import cargo_factories, factories, published_vectors
from tests.factories import NOW
from tests.unit.gateway.factories import make_node_id, make_peer
from tests.unit.gateway.services.collection_factories import certify, make_cca, make_session_key

pytestmark = pytest.mark.django_db(transaction=True)


def test_authorization_of_a_valid_cca(identity: Certificate) -> None:
    sender = certify(identity)
    authorization = cargo_factories.make_cargo_authorization(identity, issuer=sender)
    cca = make_cca(identity, sender=sender, authorization=authorization, id="one", ttl_seconds=7_200)

    result = authorize_collection(cca.serialized, NOW)

    assert result.peer_id == sender.node_id
    assert result.cca_id_sha256 == hashlib.sha256(b"one").hexdigest()
    assert result.expires_at == NOW + timedelta(minutes=30)
    assert result.sender_certificate == sender
    assert result.delivery_authorization == authorization
    assert result.session_key.key_id == cca.session_key_id


@pytest.mark.parametrize("is_authority", [False, True], ids=["Android", "JavaScript"])
def test_both_forms_of_delivery_authorisations(identity: Certificate, *, is_authority: bool) -> None:
    sender = certify(identity)
    authorization = cargo_factories.make_cargo_authorization(identity, issuer=sender, is_authority=is_authority)

    result = authorize_collection(make_cca(identity, authorization=authorization).serialized, NOW)

    assert result.delivery_authorization == authorization


@pytest.mark.parametrize("file", ["cca.bin", "jvm_cca.bin"])
def test_ccas_of_the_published_libraries(vector_identity: Certificate, file: str) -> None:
    save_vector_keys(vector_identity)

    result = authorize_collection(published_vectors.read(file), published_vectors.VERIFY_AT)

    assert result.peer_id == published_vectors.certificate("private_gateway_a").node_id


def save_vector_keys(root: Certificate) -> None:
    for name in ("gw_session_unbound", "gw_session_bound_pg_a"):
        peer_id = published_vectors.certificate("private_gateway_a").node_id if "bound_pg_a" in name else None
        key_id = bytes.fromhex(published_vectors.key_facts(name)["keyIdHex"])
        get_keystore().save_session_key(key_id, published_vectors.session_private_key(name), root.node_id, peer_id)


def test_session_key_that_is_bound_to_no_peer(identity: Certificate) -> None:
    cca = make_cca(identity, session_key=make_session_key(identity))

    assert authorize_collection(cca.serialized, NOW).session_key.key_id == cca.session_key_id


def test_session_key_of_the_peer_is_kept(identity: Certificate) -> None:
    make_peer(node_id=factories.id_of("private gateway"))
    cca = make_cca(identity)

    authorize_collection(cca.serialized, NOW)

    peer = Peer.objects.get()
    assert bytes(peer.session_key_id or b"") == cca.session_key_id
    assert peer.session_key_created_at == NOW - timedelta(minutes=90)


def of_a_stranger(root: Certificate) -> bytes:
    return make_cca(root, sender=factories.gateway_certificate("private gateway")).serialized


def by_an_endpoint(root: Certificate) -> bytes:
    private_gateway = certify(root)
    endpoint = factories.endpoint_certificate(issuer=private_gateway)
    return make_cca(
        root,
        sender=endpoint,
        authorization=cargo_factories.make_cargo_authorization(root, issuer=private_gateway),
        attached_certificates=(private_gateway,),
        recipient=Recipient(id=private_gateway.node_id),
    ).serialized


def with_authorization(root: Certificate, **changes: object) -> bytes:
    subject = changes.pop("subject", root)
    issuer = changes.pop("issuer", None) or certify(root)
    authorization = cargo_factories.make_cargo_authorization(subject, issuer=issuer, **changes)  # type: ignore[arg-type]
    return make_cca(root, authorization=authorization).serialized


INVALID: dict[str, tuple[Callable[[Certificate], bytes], type[InvalidMessageError]]] = {
    "octets of any kind": (lambda _: b"cca", MalformedMessageError),
    "tampered with": (lambda root: make_cca(root).serialized[:-1] + b"\0", InvalidSignatureError),
    "expired": (lambda root: make_cca(root, ttl_seconds=5_399).serialized, UntimelyMessageError),
    "of the future": (
        lambda root: make_cca(root, creation_date=NOW + timedelta(seconds=1)).serialized,
        UntimelyMessageError,
    ),
    "of a stranger": (of_a_stranger, UnauthorizedSenderError),
    "of an endpoint": (by_an_endpoint, UnauthorizedSenderError),
    "for another gateway": (
        lambda root: make_cca(root, recipient=Recipient(id=make_node_id())).serialized,
        UnauthorizedSenderError,
    ),
    "with an authorisation for another gateway": (
        lambda root: with_authorization(root, subject=factories.gateway_certificate("another gateway")),
        UnauthorizedSenderError,
    ),
    "with an authorisation of another private gateway": (
        lambda root: with_authorization(root, issuer=certify(root, "another private gateway")),
        UnauthorizedSenderError,
    ),
    "with an expired authorisation": (
        lambda root: with_authorization(root, not_after=NOW - timedelta(seconds=1)),
        UnauthorizedSenderError,
    ),
    "with an authorisation of the future": (
        lambda root: with_authorization(root, not_before=NOW + timedelta(seconds=1)),
        UnauthorizedSenderError,
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_cca(identity: Certificate, name: str) -> None:
    make, error = INVALID[name]

    with pytest.raises(error):
        authorize_collection(make(identity), NOW)


def unreadable_payload(root: Certificate) -> bytes:
    return make_cca(root, payload=b"whatever").serialized


def to_an_unknown_key(root: Certificate) -> bytes:
    return make_cca(root, session_key=generate_session_key()[0]).serialized


def to_a_key_of_another_peer(root: Certificate) -> bytes:
    return make_cca(root, session_key=make_session_key(root, make_node_id())).serialized


def to_another_key_under_a_known_id(root: Certificate) -> bytes:
    known, (other, _) = make_session_key(root, factories.id_of("private gateway")), generate_session_key()
    pretended = type(known)(key_id=known.key_id, public_key_der=other.public_key_der)
    return make_cca(root, session_key=pretended).serialized


def with_another_plaintext(root: Certificate) -> bytes:
    return make_cca(root, plaintext=b"whatever").serialized


@pytest.mark.parametrize(
    "make",
    [
        unreadable_payload,
        to_an_unknown_key,
        to_a_key_of_another_peer,
        to_another_key_under_a_known_id,
        with_another_plaintext,
    ],
)
def test_unreadable_payloads_are_refused_alike(identity: Certificate, make: Callable[[Certificate], bytes]) -> None:
    make_peer(node_id=factories.id_of("private gateway"))

    with pytest.raises(DecryptionError, match=r"^CCA payload cannot be read$"):
        authorize_collection(make(identity), NOW)

    assert Peer.objects.get().session_key_id is None


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (KeyUnavailableError("another KEYSTORE_KEY"), KeyUnavailableError),
        (RecordUnavailableError("gone"), RecordUnavailableError),
    ],
)
def test_failing_key_store_is_our_failure(
    identity: Certificate, monkeypatch: pytest.MonkeyPatch, failure: Exception, expected: type[Exception]
) -> None:
    def fail(*_: object) -> EllipticCurvePrivateKey:
        raise failure

    octets = make_cca(identity).serialized
    monkeypatch.setattr(DatabaseKeyStore, "load_session_key", fail)

    with pytest.raises(expected) as caught:
        authorize_collection(octets, NOW)

    assert not isinstance(caught.value, UnknownKeyError)


def test_failing_record_is_our_failure(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise OperationalError

    octets = make_cca(identity).serialized
    monkeypatch.setattr(Peer.objects, "filter", fail)

    with pytest.raises(RecordUnavailableError):
        authorize_collection(octets, NOW)
