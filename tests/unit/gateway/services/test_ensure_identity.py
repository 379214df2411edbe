import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection

from awala.pki import keys
from gateway.errors import KeyUnavailableError
from gateway.keystores import get_keystore
from gateway.models import Event, OwnCertificate
from gateway.services.ensure_identity import ensure_identity
from gateway.services.load_identity import forget_identity, load_identity

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
HALF_LIFE = NOW - timedelta(hours=3) + timedelta(days=90)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _unknown_identity() -> Iterator[None]:
    forget_identity()
    yield
    forget_identity()


def test_there_is_no_identity_before() -> None:
    with pytest.raises(KeyUnavailableError):
        load_identity(NOW)


def test_identity_is_made() -> None:
    ensure_identity(NOW)

    identity = load_identity(NOW)
    certificate = identity.issuer_certificate
    assert identity.private_key.key_size == 2048
    assert identity.node_id == keys.node_id(keys.spki_der(identity.private_key.public_key()))
    assert certificate.node_id == identity.node_id
    assert (certificate.is_ca, certificate.path_length) == (True, 2)
    certificate.verify_signature(certificate)


def test_own_certificate_is_back_dated_and_lives_180_days() -> None:
    """Trap 12: clients check our dates without tolerance."""
    ensure_identity(NOW)

    certificate = load_identity(NOW).issuer_certificate
    assert certificate.not_before == NOW - timedelta(hours=3)
    assert certificate.not_after - certificate.not_before == timedelta(days=180)


def test_initial_session_key_serves_every_peer() -> None:
    ensure_identity(NOW)

    entry = get_keystore().find_latest_unbound_session_key(load_identity(NOW).node_id)
    assert entry is not None
    get_keystore().load_session_key(entry.key_id, peer_id="0" + "f" * 64)


def test_second_time_changes_nothing() -> None:
    ensure_identity(NOW)
    before = (load_identity(NOW).node_id, OwnCertificate.objects.count(), Event.objects.count())

    ensure_identity(NOW + timedelta(days=1))

    assert (load_identity(NOW).node_id, OwnCertificate.objects.count(), Event.objects.count()) == before


def test_certificate_is_kept_until_half_of_its_life_is_over() -> None:
    ensure_identity(NOW)

    ensure_identity(HALF_LIFE - timedelta(seconds=1))

    assert OwnCertificate.objects.count() == 1


def test_certificate_is_renewed_at_half_of_its_life() -> None:
    ensure_identity(NOW)
    older = load_identity(NOW)

    ensure_identity(HALF_LIFE)

    renewed = load_identity(HALF_LIFE)
    assert renewed.node_id == older.node_id
    assert renewed.issuer_certificate.not_after == HALF_LIFE - timedelta(hours=3) + timedelta(days=180)
    assert renewed.certificates[1] == older.issuer_certificate


def test_expired_certificates_are_not_trusted() -> None:
    ensure_identity(NOW)
    ensure_identity(HALF_LIFE)
    after_the_first = NOW + timedelta(days=181)
    forget_identity()

    assert len(load_identity(after_the_first).certificates) == 1


def test_identity_is_read_anew_after_a_minute() -> None:
    ensure_identity(NOW)
    first = load_identity(NOW)

    assert load_identity(NOW + timedelta(seconds=60)) is first
    assert load_identity(NOW + timedelta(seconds=61)) is not first


def test_session_key_is_renewed_beside_the_older_one() -> None:
    ensure_identity(NOW)
    node_id = load_identity(NOW).node_id
    older = get_keystore().find_latest_unbound_session_key(node_id)

    ensure_identity(NOW + timedelta(days=30))

    newer = get_keystore().find_latest_unbound_session_key(node_id)
    assert older is not None
    assert newer is not None
    assert newer.key_id != older.key_id
    assert newer.created_at == NOW + timedelta(days=30)
    get_keystore().load_session_key(older.key_id, peer_id="0" + "f" * 64)


@pytest.mark.django_db(transaction=True)
def test_processes_that_renew_at_once_make_one_certificate() -> None:
    ensure_identity(NOW)
    together = threading.Barrier(3)

    def renew() -> None:
        together.wait(5)
        try:
            ensure_identity(HALF_LIFE)
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as threads:
        for renewed in [threads.submit(renew) for _ in range(3)]:
            renewed.result(30)

    assert OwnCertificate.objects.count() == 2


def test_renewal_by_another_process_is_as_good_as_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_identity(NOW)

    def be_slower(*_args: object, **_kwargs: object) -> None:
        raise IntegrityError("this sequence is taken")

    monkeypatch.setattr(OwnCertificate.objects, "create", be_slower)
    ensure_identity(HALF_LIFE)

    assert load_identity(HALF_LIFE).certificates
