import os
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.db import IntegrityError, transaction
from django.utils import timezone

from gateway.errors import KeyUnavailableError, UnknownKeyError
from gateway.keystores import get_keystore
from gateway.keystores.database import DatabaseKeyStore
from gateway.models import StoredKey
from tests.unit.gateway.factories import make_node_id

pytestmark = pytest.mark.django_db

NODE_ID = make_node_id()
PEER_ID = make_node_id()
KEY_ID = b"\x00\xffkey id"


@pytest.fixture(scope="module")
def identity_key() -> RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2_048)


@pytest.fixture
def session_key() -> EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def keystore() -> DatabaseKeyStore:
    return DatabaseKeyStore(bytes(32))


def test_identity_key_is_loaded_as_saved(keystore: DatabaseKeyStore, identity_key: RSAPrivateKey) -> None:
    keystore.save_identity_key(NODE_ID, identity_key)

    assert keystore.load_identity_key(NODE_ID).private_numbers() == identity_key.private_numbers()


def test_unknown_identity_key_is_reported(keystore: DatabaseKeyStore) -> None:
    with pytest.raises(KeyUnavailableError, match="no such identity key") as failure:
        keystore.load_identity_key(NODE_ID)

    # Nobody else is to blame for that one.
    assert not isinstance(failure.value, UnknownKeyError)


def test_identity_key_is_saved_once(keystore: DatabaseKeyStore, identity_key: RSAPrivateKey) -> None:
    keystore.save_identity_key(NODE_ID, identity_key)

    with transaction.atomic(), pytest.raises(IntegrityError), transaction.atomic():
        keystore.save_identity_key(NODE_ID, identity_key)


def test_unbound_session_key_serves_every_peer(
    keystore: DatabaseKeyStore, session_key: EllipticCurvePrivateKey
) -> None:
    keystore.save_session_key(KEY_ID, session_key, NODE_ID)

    assert keystore.load_session_key(KEY_ID, PEER_ID).private_numbers() == session_key.private_numbers()


def test_bound_session_key_serves_its_peer(keystore: DatabaseKeyStore, session_key: EllipticCurvePrivateKey) -> None:
    keystore.save_session_key(KEY_ID, session_key, NODE_ID, PEER_ID)

    assert keystore.load_session_key(KEY_ID, PEER_ID).private_numbers() == session_key.private_numbers()


def test_bound_session_key_serves_no_other_peer(
    keystore: DatabaseKeyStore, session_key: EllipticCurvePrivateKey
) -> None:
    keystore.save_session_key(KEY_ID, session_key, NODE_ID, PEER_ID)

    with pytest.raises(UnknownKeyError, match="another peer"):
        keystore.load_session_key(KEY_ID, make_node_id())


@pytest.mark.parametrize("key_id", [b"", b"unknown", b"\x00" * 1000])
def test_unknown_session_key_is_reported(key_id: bytes, keystore: DatabaseKeyStore) -> None:
    with pytest.raises(UnknownKeyError, match="no such session key"):
        keystore.load_session_key(key_id, PEER_ID)


def test_latest_unbound_session_key_is_found(keystore: DatabaseKeyStore) -> None:
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]
    keystore.save_session_key(b"older", keys[0], NODE_ID)
    keystore.save_session_key(b"newer", keys[1], NODE_ID)
    keystore.save_session_key(b"bound", keys[2], NODE_ID, PEER_ID)
    keystore.save_session_key(b"of another identity", keys[3], make_node_id())
    StoredKey.objects.filter(key_id=b"older".hex()).update(created_at=timezone.now() - timedelta(days=1))

    entry = keystore.find_latest_unbound_session_key(NODE_ID)

    assert entry is not None
    assert entry.key_id == b"newer"
    assert entry.private_key.private_numbers() == keys[1].private_numbers()
    assert entry.created_at == StoredKey.objects.get(key_id=b"newer".hex()).created_at


def test_no_unbound_session_key_is_found_where_none_is(keystore: DatabaseKeyStore) -> None:
    assert keystore.find_latest_unbound_session_key(NODE_ID) is None


def test_database_never_sees_the_key(keystore: DatabaseKeyStore, session_key: EllipticCurvePrivateKey) -> None:
    keystore.save_session_key(KEY_ID, session_key, NODE_ID)

    sealed = bytes(StoredKey.objects.get().sealed)
    secret = session_key.private_numbers().private_value.to_bytes(32, "big")
    clear = session_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert secret not in sealed
    assert clear[:20] not in sealed


def test_same_key_is_sealed_differently_each_time(
    keystore: DatabaseKeyStore, session_key: EllipticCurvePrivateKey
) -> None:
    for number in range(10):
        keystore.save_session_key(bytes([number]), session_key, NODE_ID)

    nonces = {bytes(sealed)[:12] for sealed in StoredKey.objects.values_list("sealed", flat=True)}
    assert len(nonces) == 10


def test_wrong_keystore_key_is_reported(keystore: DatabaseKeyStore, identity_key: RSAPrivateKey) -> None:
    keystore.save_identity_key(NODE_ID, identity_key)

    with pytest.raises(KeyUnavailableError, match="another KEYSTORE_KEY") as failure:
        DatabaseKeyStore(os.urandom(32)).load_identity_key(NODE_ID)

    assert NODE_ID not in str(failure.value)


@pytest.mark.parametrize("position", [0, 12, -1])
def test_altered_row_is_reported(
    position: int, keystore: DatabaseKeyStore, session_key: EllipticCurvePrivateKey
) -> None:
    keystore.save_session_key(KEY_ID, session_key, NODE_ID)
    row = StoredKey.objects.get()
    sealed = bytearray(row.sealed)
    sealed[position] ^= 1
    StoredKey.objects.update(sealed=bytes(sealed))

    with pytest.raises(KeyUnavailableError, match="altered"):
        keystore.load_session_key(KEY_ID, PEER_ID)


@pytest.mark.parametrize("sealed", [b"", b"short", b"x" * 20])
def test_truncated_row_is_reported(
    sealed: bytes, keystore: DatabaseKeyStore, session_key: EllipticCurvePrivateKey
) -> None:
    keystore.save_session_key(KEY_ID, session_key, NODE_ID)
    StoredKey.objects.update(sealed=sealed)

    with pytest.raises(KeyUnavailableError, match="altered"):
        keystore.load_session_key(KEY_ID, PEER_ID)


def test_rows_cannot_be_exchanged(keystore: DatabaseKeyStore) -> None:
    for key_id in (b"one", b"two"):
        keystore.save_session_key(key_id, ec.generate_private_key(ec.SECP256R1()), NODE_ID)
    other = StoredKey.objects.get(key_id=b"two".hex())
    StoredKey.objects.filter(key_id=b"one".hex()).update(sealed=bytes(other.sealed))

    with pytest.raises(KeyUnavailableError, match="altered"):
        keystore.load_session_key(b"one", PEER_ID)


@pytest.mark.parametrize("change", [{"peer_id": ""}, {"node_id": make_node_id()}])
def test_key_cannot_be_given_to_another_owner(
    change: dict[str, str], keystore: DatabaseKeyStore, session_key: EllipticCurvePrivateKey
) -> None:
    keystore.save_session_key(KEY_ID, session_key, NODE_ID, PEER_ID)
    StoredKey.objects.update(**change)

    with pytest.raises(KeyUnavailableError, match="altered"):
        keystore.load_session_key(KEY_ID, PEER_ID)


def test_key_cannot_be_made_another_kind(keystore: DatabaseKeyStore, identity_key: RSAPrivateKey) -> None:
    keystore.save_identity_key("00", identity_key)
    StoredKey.objects.update(kind=StoredKey.Kind.SESSION)

    with pytest.raises(KeyUnavailableError, match="altered"):
        keystore.load_session_key(b"\0", PEER_ID)


def test_each_kind_of_key_is_of_its_algorithm(keystore: DatabaseKeyStore, identity_key: RSAPrivateKey) -> None:
    keystore.save_identity_key(NODE_ID, ec.generate_private_key(ec.SECP256R1()))  # type: ignore[arg-type]
    keystore.save_session_key(KEY_ID, identity_key, NODE_ID)  # type: ignore[arg-type]

    with pytest.raises(KeyUnavailableError, match="not an RSA key"):
        keystore.load_identity_key(NODE_ID)
    with pytest.raises(KeyUnavailableError, match="not an ECDH key"):
        keystore.load_session_key(KEY_ID, PEER_ID)


def test_settings_name_the_keystore(session_key: EllipticCurvePrivateKey) -> None:
    get_keystore().save_session_key(KEY_ID, session_key, NODE_ID)

    assert get_keystore().load_session_key(KEY_ID, PEER_ID).private_numbers() == session_key.private_numbers()


def test_session_key_is_dated(keystore: DatabaseKeyStore, session_key: EllipticCurvePrivateKey) -> None:
    moment = timezone.now() - timedelta(days=7)
    keystore.save_session_key(KEY_ID, session_key, NODE_ID, created_at=moment)

    entry = keystore.find_latest_unbound_session_key(NODE_ID)
    assert entry is not None
    assert entry.created_at == moment


def save_aged(keystore: DatabaseKeyStore, key_id: bytes, *, days: int, **values: Any) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    created_at = timezone.now() - timedelta(days=days)
    keystore.save_session_key(key_id, key, **{"node_id": NODE_ID} | values, created_at=created_at)


def list_session_keys() -> set[str]:
    return set(StoredKey.objects.filter(kind=StoredKey.Kind.SESSION).values_list("key_id", flat=True))


def test_old_session_keys_are_deleted_but_for_the_latest_that_is_unbound(
    keystore: DatabaseKeyStore, identity_key: RSAPrivateKey
) -> None:
    keystore.save_identity_key(NODE_ID, identity_key)
    save_aged(keystore, b"\x01", days=20)
    save_aged(keystore, b"\x02", days=11)
    save_aged(keystore, b"\x03", days=12, peer_id=PEER_ID)
    save_aged(keystore, b"\x04", days=9, peer_id=PEER_ID)
    save_aged(keystore, b"\x05", days=20, node_id=make_node_id())
    moment = timezone.now() - timedelta(days=10)

    assert keystore.delete_session_keys_created_before(moment, NODE_ID, limit=10) == 2
    assert keystore.delete_session_keys_created_before(moment, NODE_ID, limit=10) == 0

    assert list_session_keys() == {"02", "04", "05"}
    assert keystore.load_identity_key(NODE_ID) is not None


def test_old_session_keys_are_deleted_a_few_at_a_time(keystore: DatabaseKeyStore) -> None:
    for number in range(5):
        save_aged(keystore, bytes([number]), days=20, peer_id=PEER_ID)
    moment = timezone.now() - timedelta(days=10)

    assert [keystore.delete_session_keys_created_before(moment, NODE_ID, limit=2) for _ in range(4)] == [2, 2, 1, 0]
