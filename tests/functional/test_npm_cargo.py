"""Cargo and what is in it, between our library and the published one: each reads what the other makes."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from awala.errors import MalformedMessageError
from awala.limits import MAX_CARGO_ITEM_SIZE
from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.messages.cargo_collection_request import CargoCollectionRequest
from awala.messages.cargo_message_set import CargoMessageSet
from awala.messages.certificate_rotation import CertificateRotation
from awala.messages.certification_path import CertificationPath
from awala.messages.parcel import Parcel
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from awala.messages.ping import Ping, PongRoute
from awala.messages.service_message import ServiceMessage
from awala.pki.certificate import Certificate
from awala.ramf import Recipient
from awala.session_key import SessionKey, generate_session_key
from awala.sessions import unwrap_payload, wrap_payload
from tests import factories
from tests.functional.android_courier import MAX_DELIVERY_SIZE, takes_cargo
from tests.functional.npm_cargo_values import NpmPrivateGateway, ParsedPCA
from tests.functional.npm_clients import Identity, NpmClientError, NpmClients, PublicSessionKey, Registration, Signer
from tests.functional.pong_endpoint import PongEndpoint, SessionKeys
from tests.functional.private_gateway import INTERNET_ADDRESS, in_whole_seconds

pytestmark = pytest.mark.functional

OUR_KEY = "gateway"


@dataclass(kw_only=True)
class Pair:
    """An Internet gateway on our library, and a private gateway on the published one that registered with it."""

    npm: NpmClients
    private_gateway: NpmPrivateGateway
    own_certificate: Certificate
    private_gateway_certificate: Certificate
    session_key: SessionKey
    session_keys: SessionKeys = field(default_factory=SessionKeys)

    @property
    def peer_id(self) -> str:
        return self.private_gateway.identity.node_id

    def read_cca(self, octets: bytes) -> tuple[CargoCollectionAuthorization, CargoCollectionRequest, SessionKey]:
        cca = CargoCollectionAuthorization.deserialize(octets)
        unwrapped = unwrap_payload(cca, self.session_keys)
        return cca, CargoCollectionRequest.deserialize(unwrapped.plaintext), unwrapped.peer_key

    def make_cargo(
        self,
        items: list[bytes],
        *,
        recipient_key: SessionKey,
        authorization: Certificate,
        created: timedelta = timedelta(hours=-3),
        signing_key: rsa.RSAPrivateKey | None = None,
    ) -> tuple[bytes, bytes]:
        """A cargo for the private gateway, and the id of the session key that came with it."""
        wrapped = wrap_payload(CargoMessageSet(items=tuple(items)).serialize(), recipient_key)
        self.session_keys.save(wrapped.key_id, wrapped.private_key)
        cargo = Cargo(
            recipient=Recipient(id=self.peer_id),
            id=str(uuid.uuid4()),
            creation_date=in_whole_seconds(created),
            ttl_seconds=86_400,
            payload=wrapped.payload,
            sender_certificate=authorization,
            attached_certificates=(self.private_gateway_certificate,),
        )
        return cargo.serialize(signing_key or factories.rsa_key(OUR_KEY)), wrapped.key_id

    def answer_cca(self, items: list[bytes], *, created: timedelta = timedelta(hours=-3)) -> tuple[bytes, bytes]:
        _, request, peer_key = self.read_cca(self.npm.make_cca(self.private_gateway))
        return self.make_cargo(
            items, recipient_key=peer_key, authorization=request.delivery_authorization, created=created
        )


@pytest.fixture(scope="module")
def identity(npm: NpmClients) -> Identity:
    return import_identity(npm, "npm private gateway")


@pytest.fixture
def pair(npm: NpmClients, identity: Identity) -> Pair:
    return make_pair(npm, identity)


def make_pair(
    npm: NpmClients,
    identity: Identity,
    *,
    registered_at: datetime | None = None,
    expires_at: datetime = factories.NOT_AFTER,
) -> Pair:
    own_certificate = factories.gateway_certificate(OUR_KEY)
    certificate = factories.gateway_certificate("npm private gateway", issuer=own_certificate, not_after=expires_at)
    session_key, private_key = generate_session_key()
    registration = Registration(
        certificate_der=certificate.der,
        gateway_certificate_der=own_certificate.der,
        internet_address=INTERNET_ADDRESS,
        session_key=published(session_key),
    )
    pair = Pair(
        npm=npm,
        private_gateway=npm.create_private_gateway(identity, registration, registered_at=registered_at),
        own_certificate=own_certificate,
        private_gateway_certificate=certificate,
        session_key=session_key,
    )
    pair.session_keys.save(session_key.key_id, private_key)
    return pair


def published(key: SessionKey) -> PublicSessionKey:
    return PublicSessionKey(key_id=key.key_id, public_key_der=key.public_key_der)


def import_identity(npm: NpmClients, name: str) -> Identity:
    key = factories.rsa_key(name)
    return npm.import_identity(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def make_parcel(pair: Pair, payload: bytes = b"payload") -> bytes:
    """For "endpoint" behind the private gateway."""
    chain = factories.chain(gateway=pair.own_certificate, private_gateway="npm private gateway")
    parcel = factories.private_parcel(
        chain, message_id=str(uuid.uuid4()), creation_date=in_whole_seconds(timedelta(minutes=-1)), payload=payload
    )
    return factories.serialized(parcel)


# ---------------------------------------------------------------- CCAs


def test_cca_of_javascript_is_read(pair: Pair) -> None:
    cca, request, peer_key = pair.read_cca(pair.npm.make_cca(pair.private_gateway))

    authorization = request.delivery_authorization
    now = datetime.now(UTC)
    cca.check_timing(now)
    path = cca.authorized_path((pair.own_certificate,), now=now)
    assert [certificate.node_id for certificate in path] == [pair.peer_id, pair.own_certificate.node_id]
    assert cca.recipient == Recipient(id=pair.own_certificate.node_id, internet_address=INTERNET_ADDRESS)
    assert authorization.node_id == pair.own_certificate.node_id
    authorization.verify_signature(pair.private_gateway_certificate)
    assert authorization.issuer_der == pair.private_gateway_certificate.subject_der
    assert peer_key.key_id


def test_each_cca_brings_a_session_key_of_its_own(pair: Pair) -> None:
    keys = {pair.read_cca(pair.npm.make_cca(pair.private_gateway))[2].key_id for _ in range(3)}

    assert len(keys) == 3


# ---------------------------------------------------------------- Cargo from a private gateway


def test_cargo_of_javascript_is_read(pair: Pair) -> None:
    items = [make_parcel(pair), pair.npm.make_pca(sender_id="0a", recipient_id="0b", parcel_id="1"), b"neither"]

    (made,) = pair.npm.make_cargoes(pair.private_gateway, items)

    cargo = Cargo.deserialize(made.serialized)
    now = datetime.now(UTC)
    cargo.check_timing(now)
    assert cargo.authorized_path((pair.own_certificate,), now=now)[0].node_id == pair.peer_id
    unwrapped = unwrap_payload(cargo, pair.session_keys)
    assert CargoMessageSet.deserialize(unwrapped.plaintext).items == tuple(items)


def test_expiry_of_cargo_is_that_of_its_last_item(pair: Pair) -> None:
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)
    items = [(b"first", expires_at), (b"second", expires_at - timedelta(hours=1))]

    (made,) = pair.npm.make_cargoes(pair.private_gateway, items)

    assert Cargo.deserialize(made.serialized).expiry == expires_at


def test_items_are_batched_by_javascript(pair: Pair) -> None:
    largest = bytes(MAX_CARGO_ITEM_SIZE)

    made = pair.npm.make_cargoes(pair.private_gateway, [largest, b"small"])

    sets = [unwrap_payload(Cargo.deserialize(cargo.serialized), pair.session_keys).plaintext for cargo in made]
    assert [CargoMessageSet.deserialize(plaintext).items for plaintext in sets] == [(largest,), (b"small",)]


def test_no_items_make_no_cargo(pair: Pair) -> None:
    assert pair.npm.make_cargoes(pair.private_gateway, []) == []


# ---------------------------------------------------------------- Cargo for a private gateway


def test_cargo_of_ours_is_read_by_javascript(pair: Pair) -> None:
    parcel = make_parcel(pair)
    pca = ParcelCollectionAck(sender_endpoint_id="0a", recipient_endpoint_id="0b", parcel_id="parcel 1")

    cargo, _ = pair.answer_cca([pca.serialize(), parcel, b"neither"])

    unwrapped = pair.npm.unwrap_cargo(pair.private_gateway, cargo)
    assert [item.kind for item in unwrapped.items] == ["pca", "parcel", "unreadable"]
    assert unwrapped.acknowledgements == [ParsedPCA(sender_id="0a", recipient_id="0b", parcel_id="parcel 1")]
    assert [item.serialized for item in unwrapped.valid_parcels] == [parcel]
    assert (unwrapped.recipient_id, unwrapped.sender_id) == (pair.peer_id, pair.own_certificate.node_id)


def test_cargo_with_the_issuer_of_its_authorization_is_taken_by_android_couriers(pair: Pair) -> None:
    _, request, peer_key = pair.read_cca(pair.npm.make_cca(pair.private_gateway))
    cargo, _ = pair.make_cargo([b"item"], recipient_key=peer_key, authorization=request.delivery_authorization)
    stranger = factories.gateway_certificate("another private gateway", issuer=pair.own_certificate)
    pair.private_gateway_certificate = stranger
    without, _ = pair.make_cargo([b"item"], recipient_key=peer_key, authorization=request.delivery_authorization)

    assert takes_cargo(cargo)
    assert not takes_cargo(without)
    assert len(cargo) < MAX_DELIVERY_SIZE


def test_empty_cargo_and_the_largest_item(pair: Pair) -> None:
    empty, _ = pair.answer_cca([])
    full, _ = pair.answer_cca([bytes(MAX_CARGO_ITEM_SIZE)])

    assert pair.npm.unwrap_cargo(pair.private_gateway, empty).items == ()
    (item,) = pair.npm.unwrap_cargo(pair.private_gateway, full).items
    assert item.serialized == bytes(MAX_CARGO_ITEM_SIZE)


def test_cargo_that_javascript_refuses(pair: Pair) -> None:
    _, request, peer_key = pair.read_cca(pair.npm.make_cca(pair.private_gateway))
    authorization = request.delivery_authorization
    unknown_key, _ = generate_session_key()
    untimely, _ = pair.make_cargo([], recipient_key=peer_key, authorization=authorization, created=timedelta(minutes=1))
    self_issued, _ = pair.make_cargo([], recipient_key=peer_key, authorization=pair.own_certificate)
    unreadable, _ = pair.make_cargo([], recipient_key=unknown_key, authorization=authorization)
    forged, _ = pair.make_cargo(
        [], recipient_key=peer_key, authorization=authorization, signing_key=factories.rsa_key("stranger")
    )

    for cargo, problem in (
        (untimely, "future"),
        (self_issued, "not authorized"),
        (unreadable, "does not exist"),
        (forged, "signature"),
    ):
        with pytest.raises(NpmClientError, match=problem):
            pair.npm.unwrap_cargo(pair.private_gateway, cargo)


# ---------------------------------------------------------------- Sessions


def test_session_moves_on_with_each_cargo(npm: NpmClients, identity: Identity) -> None:
    """The private gateway's first cargo goes to the registration's key, its next to that which our cargo brought."""
    pair = make_pair(npm, identity, registered_at=datetime.now(UTC) - timedelta(days=1))
    expected_key_id = pair.session_key.key_id
    for hours_ago in (3, 2, 1):
        assert npm.describe_private_gateway(pair.private_gateway).session_key_id == expected_key_id
        (made,) = npm.make_cargoes(pair.private_gateway, [b"item"])
        plaintext = unwrap_payload(Cargo.deserialize(made.serialized), pair.session_keys).plaintext
        assert CargoMessageSet.deserialize(plaintext).items == (b"item",)

        cargo, expected_key_id = pair.answer_cca([b"item"], created=timedelta(hours=-hours_ago))
        npm.unwrap_cargo(pair.private_gateway, cargo)
    assert npm.describe_private_gateway(pair.private_gateway).session_key_id == expected_key_id


def test_session_stays_with_cargo_dated_before_the_last_key(pair: Pair) -> None:
    """As gateways date cargo back by three hours, the key of the registration serves for as long."""
    cargo, _ = pair.answer_cca([b"item"])

    pair.npm.unwrap_cargo(pair.private_gateway, cargo)

    assert pair.npm.describe_private_gateway(pair.private_gateway).session_key_id == pair.session_key.key_id


def test_session_key_that_came_later_is_used(pair: Pair) -> None:
    key, private_key = generate_session_key()
    pair.session_keys.save(key.key_id, private_key)

    pair.npm.save_session_key(pair.private_gateway, published(key), datetime.now(UTC) + timedelta(minutes=1))

    assert pair.npm.describe_private_gateway(pair.private_gateway).session_key_id == key.key_id
    pair.read_cca(pair.npm.make_cca(pair.private_gateway))


# ---------------------------------------------------------------- Items by themselves


def test_pca_both_ways(npm: NpmClients) -> None:
    parcel_id = "x" * 64
    of_javascript = npm.make_pca(sender_id="0a", recipient_id="0b", parcel_id=parcel_id)
    ours = ParcelCollectionAck(sender_endpoint_id="0a", recipient_endpoint_id="0b", parcel_id=parcel_id)

    assert ParcelCollectionAck.deserialize(of_javascript) == ours
    assert ours.serialize() == of_javascript
    assert npm.parse_pca(ours.serialize()) == ParsedPCA(sender_id="0a", recipient_id="0b", parcel_id=parcel_id)


@pytest.mark.parametrize("items", [[], [b""], [b"one", bytes(70_000)], [b"x"] * 120], ids=len)
def test_message_sets_both_ways(npm: NpmClients, items: list[bytes]) -> None:
    of_javascript = npm.make_message_set(items)
    ours = CargoMessageSet(items=tuple(items))

    assert CargoMessageSet.deserialize(of_javascript) == ours
    assert npm.parse_message_set(ours.serialize()) == items


def test_rotation_both_ways(npm: NpmClients, pair: Pair) -> None:
    leaf, root = pair.private_gateway_certificate, pair.own_certificate
    of_javascript = npm.make_rotation(leaf.der, [root.der])
    ours = CertificateRotation(path=CertificationPath(leaf=leaf, authorities=(root,)))

    assert CertificateRotation.deserialize(of_javascript) == ours
    assert ours.serialize() == of_javascript
    parsed = npm.parse_rotation(ours.serialize())
    assert (parsed.leaf_der, parsed.authorities_der) == (leaf.der, (root.der,))
    with pytest.raises(NpmClientError, match="CertificationPath is malformed"):
        npm.parse_rotation(ours.serialize_implicit())


def test_rotation_is_taken_in_one_form_and_skipped_in_the_other(pair: Pair) -> None:
    renewed = factories.gateway_certificate(
        "npm private gateway",
        issuer=pair.own_certificate,
        not_after=pair.private_gateway_certificate.not_after,
        serial_number=2,
    )
    rotation = CertificateRotation(path=CertificationPath(leaf=renewed, authorities=(pair.own_certificate,)))
    parcel = make_parcel(pair)
    cargo, _ = pair.answer_cca([rotation.serialize_implicit(), rotation.serialize(), parcel])

    unwrapped = pair.npm.unwrap_cargo(pair.private_gateway, cargo)

    assert [item.kind for item in unwrapped.items] == ["unreadable", "rotation", "parcel"]
    assert unwrapped.rotations[0].accepted
    assert len(unwrapped.valid_parcels) == 1


def test_rotated_certificate_is_used_from_then_on(npm: NpmClients, identity: Identity) -> None:
    pair = make_pair(npm, identity, expires_at=datetime.now(UTC) + timedelta(days=30))
    renewed = factories.gateway_certificate("npm private gateway", issuer=pair.own_certificate)
    rotation = CertificateRotation(path=CertificationPath(leaf=renewed, authorities=(pair.own_certificate,)))
    cargo, _ = pair.answer_cca([rotation.serialize()])
    before = npm.describe_private_gateway(pair.private_gateway).certificate_der

    npm.unwrap_cargo(pair.private_gateway, cargo)

    assert before == pair.private_gateway_certificate.der
    assert npm.describe_private_gateway(pair.private_gateway).certificate_der == renewed.der
    cca, _, _ = pair.read_cca(npm.make_cca(pair.private_gateway))
    assert cca.sender_certificate.der == renewed.der


def test_rotation_of_another_node_is_refused(pair: Pair) -> None:
    other = factories.gateway_certificate("another private gateway", issuer=pair.own_certificate)
    rotation = CertificateRotation(path=CertificationPath(leaf=other, authorities=(pair.own_certificate,)))
    cargo, _ = pair.answer_cca([rotation.serialize()])

    (item,) = pair.npm.unwrap_cargo(pair.private_gateway, cargo).rotations

    assert item.accepted is False


def test_items_of_other_kinds_are_not_taken_for_each_other(npm: NpmClients) -> None:
    pca = npm.make_pca(sender_id="0a", recipient_id="0b", parcel_id="1")

    with pytest.raises(MalformedMessageError):
        CertificateRotation.deserialize(pca)
    with pytest.raises(NpmClientError, match="Format signature"):
        npm.parse_rotation(pca)


# ---------------------------------------------------------------- Pings and pongs


def make_endpoint(npm: NpmClients, pair: Pair) -> Signer:
    certificate = factories.endpoint_certificate("npm endpoint", issuer=pair.private_gateway_certificate)
    return Signer(identity=import_identity(npm, "npm endpoint"), certificate_der=certificate.der)


def test_ping_of_javascript_is_answered_by_ours(npm: NpmClients, pair: Pair) -> None:
    pong_endpoint = PongEndpoint()
    ping = npm.make_ping(
        make_endpoint(npm, pair),
        pair.private_gateway_certificate.der,
        internet_address=INTERNET_ADDRESS,
        recipient_spki_der=pong_endpoint.public_key_der,
        recipient_id=pong_endpoint.node_id,
        recipient_session_key=published(pong_endpoint.session_key),
        recipient_internet_address="pong.example.com",
    )

    pong = pong_endpoint.respond(ping.serialized)

    read = npm.verify_parcel(pong, trusted=[pair.private_gateway_certificate.der])
    assert read.recipient_internet_address == INTERNET_ADDRESS
    assert npm.unwrap_parcel(pong, ping.session_key).content == ping.ping_id.encode()


def test_ping_of_ours_is_answered_by_javascript(npm: NpmClients, pair: Pair) -> None:
    pong_identity, pong_key = npm.generate_identity(), npm.generate_session_key()
    endpoint = factories.endpoint_certificate(issuer=pair.private_gateway_certificate)
    authorization = Certificate.parse(
        npm.issue_certificate(
            "delivery-authorization",
            pong_identity,
            issuer=import_identity(npm, "endpoint"),
            issuer_certificate_der=endpoint.der,
        )
    )
    path = CertificationPath(leaf=authorization, authorities=(endpoint, pair.private_gateway_certificate))
    route = PongRoute(delivery_authorization=path, internet_gateway_address=INTERNET_ADDRESS)
    ping = Ping(id=str(uuid.uuid4()), route=route)
    key = SessionKey(key_id=pong_key.public.key_id, public_key_der=pong_key.public.public_key_der)
    wrapped = wrap_payload(ping.message().serialize(), key)
    pair.session_keys.save(wrapped.key_id, wrapped.private_key)
    parcel = factories.internet_parcel(
        "endpoint", creation_date=in_whole_seconds(timedelta(minutes=-1)), payload=wrapped.payload
    )

    made = npm.answer_ping(pong_identity, pong_key, factories.serialized(parcel))

    pong = Parcel.deserialize(made.serialized)
    assert made.ping_id == ping.id
    assert pong.recipient == Recipient(id=endpoint.node_id, internet_address=INTERNET_ADDRESS)
    pong.authorized_path((pair.private_gateway_certificate,), now=datetime.now(UTC))
    message = ServiceMessage.deserialize(unwrap_payload(pong, pair.session_keys).plaintext)
    assert message == ping.pong()
