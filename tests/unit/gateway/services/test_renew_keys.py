"""Two years by a simulated clock: certificates and keys are renewed, and nobody who keeps to the protocol notices."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from awala.asn1 import oids
from awala.cms.enveloped_data import EnvelopedData
from awala.connection_params import NodeConnectionParams
from awala.pki import keys
from awala.pki.certificate import Certificate
from awala.registration import Registration, RegistrationRequest
from awala.session_key import SessionKey
from awala.sessions import wrap_payload
from awala.signatures import sign_detached, verify_detached
from gateway.errors import KeyUnavailableError
from gateway.keystores import get_keystore
from gateway.models import OwnCertificate, StoredKey, StoredParcel
from gateway.services.authenticate_peer import authenticate_collector, authenticate_delivery
from gateway.services.authorize_registration import authorize_registration
from gateway.services.describe_connection import describe_connection
from gateway.services.ensure_identity import ensure_identity
from gateway.services.load_identity import forget_identity, load_identity
from gateway.services.maintain import JOBS, maintain
from gateway.services.receive_parcel import receive_parcel_from_internet
from gateway.services.register_node import register_node
from gateway.services.renew_keys import remove_expired_certificates, remove_old_session_keys
from tests import factories

START = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
END = START + timedelta(days=2 * 365)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
STEP = 2 * DAY
LONGEST_TTL = 180 * DAY
NONCE = bytes(16)

UPKEEP = tuple(
    job for job in JOBS if job.name in {"renew_identity", "remove_expired_certificates", "remove_old_session_keys"}
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _first_start(db: None) -> Iterator[None]:
    """A gateway with the key that tests/factories.py knows, so that tests can issue what it would."""
    certificate = factories.gateway_certificate(not_before=START - 3 * HOUR, not_after=START + 180 * DAY - 3 * HOUR)
    OwnCertificate.objects.create(
        sequence=1,
        node_id=certificate.node_id,
        certificate_der=certificate.der,
        starts_at=certificate.not_before,
        expires_at=certificate.not_after,
    )
    get_keystore().save_identity_key(certificate.node_id, factories.rsa_key("gateway"))
    forget_identity()
    ensure_identity(START)
    yield
    forget_identity()


def check_time() -> None:
    pass


def let_time_pass(*, until: datetime = END, step: timedelta = STEP) -> Iterator[datetime]:
    """Each moment, right after beat has run what was due."""
    now = START
    while now < until:
        maintain(now, UPKEEP)
        yield now
        now += step


@dataclass(frozen=True, kw_only=True)
class Device:
    """A private gateway as it was registered once, with what it signs to deliver and to collect."""

    certificate: Certificate
    session_key: SessionKey
    countersignature: bytes
    nonce_signature: bytes

    @classmethod
    def register(cls, now: datetime) -> "Device":
        name = "private gateway"
        authorization = authorize_registration(hashlib.sha256(factories.spki_of(name)).digest(), now)
        request = RegistrationRequest(
            public_key_der=factories.spki_of(name), authorization_serialized=authorization
        ).serialize(factories.rsa_key(name))
        registration = Registration.deserialize(register_node(request, now))
        assert registration.session_key is not None
        certificate = registration.node_certificate
        key = factories.rsa_key(name)
        return cls(
            certificate=certificate,
            session_key=registration.session_key,
            countersignature=sign_detached(b"parcel", oids.PARCEL_DELIVERY, private_key=key, certificate=certificate),
            nonce_signature=sign_detached(
                NONCE, oids.PARCEL_COLLECTION_HANDSHAKE, private_key=key, certificate=certificate
            ),
        )

    def check_access(self, now: datetime) -> None:
        assert authenticate_delivery(self.countersignature, b"parcel", now) == self.certificate.node_id
        assert authenticate_collector([self.nonce_signature], NONCE, now) == {self.certificate.node_id}


@dataclass(frozen=True, kw_only=True)
class Message:
    """What somebody encrypted to a key of ours, to arrive after as long as messages live."""

    payload: bytes
    arrives_at: datetime

    @classmethod
    def send(cls, key: SessionKey, now: datetime) -> "Message":
        return cls(payload=wrap_payload(b"plaintext", key).payload, arrives_at=now + LONGEST_TTL)

    def arrive(self) -> None:
        enveloped_data = EnvelopedData.deserialize(self.payload)
        key = get_keystore().load_session_key(enveloped_data.recipient_key_id, factories.id_of("private gateway"))
        assert enveloped_data.decrypt(key) == b"plaintext"


def fetch_session_key(now: datetime) -> SessionKey:
    return NodeConnectionParams.deserialize(describe_connection(now)).session_key


def make_chain(root: Certificate) -> factories.Chain:
    """From a root of ours down to a sender's authorisation, each as long as the root allows."""
    begin, end = root.not_before, root.not_after
    private_gateway = factories.gateway_certificate("private gateway", issuer=root, not_before=begin, not_after=end)
    endpoint = factories.endpoint_certificate("endpoint", issuer=private_gateway, not_before=begin, not_after=end)
    authorization = factories.delivery_authorization("sender", issuer=endpoint, not_before=begin, not_after=end)
    return factories.Chain(
        gateway=root, private_gateway=private_gateway, endpoint=endpoint, authorization=authorization
    )


def receive_parcel(chain: factories.Chain, now: datetime) -> None:
    parcel = factories.private_parcel(chain, creation_date=now, message_id=f"{now} {chain.gateway.serial_number}")
    receive_parcel_from_internet(factories.serialized(parcel), now)


def test_own_certificate_is_renewed_at_half_life_without_a_gap() -> None:
    for now in let_time_pass(step=6 * HOUR, until=START + 100 * DAY):
        identity = load_identity(now)
        half_life = identity.issuer_certificate.not_before + 90 * DAY
        assert identity.issuer_certificate.is_valid_at(now)
        assert now < half_life

    assert load_identity(START + 100 * DAY).issuer_certificate.not_before > START + 86 * DAY


def test_devices_registered_earlier_can_always_deliver_and_collect() -> None:
    devices: list[Device] = []
    longest = timedelta()
    for now in let_time_pass():
        if (now - START) % (40 * DAY) < STEP:
            devices.append(Device.register(now))
        devices = [device for device in devices if device.certificate.is_valid_at(now)]
        for device in devices:
            device.check_access(now)
        longest = max(longest, now - devices[0].certificate.not_before)

    assert longest > 170 * DAY


def test_parcels_arrive_whose_senders_were_authorised_under_any_unexpired_certificate() -> None:
    chains: dict[bytes, factories.Chain] = {}
    received = 0
    for now in let_time_pass(step=5 * DAY):
        identity = load_identity(now)
        assert len(identity.certificates) <= 3
        for root in identity.certificates:
            chain = chains.setdefault(root.der, make_chain(root))
            receive_parcel(chain, now)
            received += 1

    assert len(chains) == 9
    assert StoredParcel.objects.count() == received


def test_process_that_has_not_noticed_a_renewal_serves_those_certified_after_it() -> None:
    """It looks a minute later at the latest; both certificates are of one key."""
    renewal = START + 90 * DAY
    before = load_identity(renewal)
    ensure_identity(renewal)
    device = Device.register(renewal)

    trusted = before.certificates
    assert load_identity(renewal).issuer_certificate not in trusted
    signer = verify_detached(
        device.nonce_signature, NONCE, oids.PARCEL_COLLECTION_HANDSHAKE, trusted=trusted, now=renewal
    )
    assert signer == device.certificate


def test_process_that_runs_notices_a_renewal_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    renewal = START + 90 * DAY
    older = load_identity(renewal)
    ensure_identity(renewal)
    # As in a process that did not renew it itself.
    monkeypatch.setattr("gateway.services.load_identity._loaded", older)

    assert load_identity(renewal + timedelta(seconds=60)) is older
    newer = load_identity(renewal + timedelta(seconds=61))
    assert newer.issuer_certificate != older.issuer_certificate
    assert newer.certificates[1:] == older.certificates


def test_gateway_that_was_off_for_a_year_is_who_it_was() -> None:
    node_id = load_identity(START).node_id

    for later in (START + 365 * DAY, START + 365 * DAY + HOUR):
        maintain(later, UPKEEP)

    identity = load_identity(START + 365 * DAY + HOUR)
    assert identity.node_id == node_id
    assert len(identity.certificates) == 1


def test_expired_certificates_go_after_a_month() -> None:
    expiry = OwnCertificate.objects.get().expires_at
    ensure_identity(START + 100 * DAY)

    assert remove_expired_certificates(expiry + 30 * DAY, check_time) is None
    assert remove_expired_certificates(expiry + 30 * DAY + HOUR, check_time) == "1 certificates removed"
    assert remove_expired_certificates(START + 3_650 * DAY, check_time) is None
    assert OwnCertificate.objects.get().sequence == 2


def test_session_key_is_replaced_every_thirty_days() -> None:
    changes = []
    last = None
    for now in let_time_pass(step=12 * HOUR, until=START + 100 * DAY):
        if (key := fetch_session_key(now)) != last:
            changes.append(now)
            last = key

    assert changes == [START, START + 30 * DAY, START + 60 * DAY, START + 90 * DAY]


def test_session_key_is_not_replaced_before_its_time() -> None:
    key = fetch_session_key(START)

    ensure_identity(START + 30 * DAY - timedelta(seconds=1))
    assert fetch_session_key(START) == key

    ensure_identity(START + 30 * DAY)
    assert fetch_session_key(START) != key


def test_no_message_under_way_is_refused() -> None:
    """Not one to a key fetched just before it was replaced, nor to one held for 60 days after that, nor to a key of
    a device whose certificate is about to expire; each arrives 180 days after it was sent.
    """
    under_way: list[Message] = []
    arrived = 0
    held: list[tuple[datetime, SessionKey]] = []
    previous = fetch_session_key(START)
    for now in let_time_pass():
        current = fetch_session_key(now)
        if current != previous:
            under_way.append(Message.send(previous, now))
            held.append((now + 60 * DAY, previous))
        if (now - START) % (50 * DAY) < STEP:
            device = Device.register(now)
            held.append((device.certificate.not_after, device.session_key))
        previous = current
        # As late as it may be at these steps.
        under_way += [Message.send(key, now) for until, key in held if until < now + STEP]
        held = [(until, key) for until, key in held if until >= now + STEP]
        for message in under_way:
            if message.arrives_at == now:
                message.arrive()
                arrived += 1

    assert arrived > 40


def test_session_keys_go_in_the_end() -> None:
    first = fetch_session_key(START)
    for now in let_time_pass(step=5 * DAY):
        last = now
    rows = StoredKey.objects.filter(kind=StoredKey.Kind.SESSION)

    with pytest.raises(KeyUnavailableError):
        get_keystore().load_session_key(first.key_id, factories.id_of("private gateway"))
    oldest = rows.earliest("created_at").created_at
    assert oldest > last - 366 * DAY
    assert rows.count() <= 13


def test_keys_of_devices_go_as_well_and_the_published_key_never() -> None:
    published = fetch_session_key(START)
    device = Device.register(START)
    StoredKey.objects.filter(kind=StoredKey.Kind.SESSION).update(created_at=START)

    assert remove_old_session_keys(START + 360 * DAY, check_time) is None
    assert remove_old_session_keys(START + 361 * DAY, check_time) == "1 session keys removed"

    node_id = keys.node_id(factories.spki_of("gateway"))
    latest = get_keystore().find_latest_unbound_session_key(node_id)
    assert latest is not None
    assert latest.key_id == published.key_id
    with pytest.raises(KeyUnavailableError):
        get_keystore().load_session_key(device.session_key.key_id, device.certificate.node_id)
