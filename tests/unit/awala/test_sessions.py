from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from awala.cms.enveloped_data import EnvelopedData
from awala.errors import DecryptionError, InvalidArgumentError, MalformedMessageError
from awala.limits import MAX_PLAINTEXT_SIZE
from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.messages.cargo_collection_request import CargoCollectionRequest
from awala.messages.cargo_message_set import CargoMessageSet
from awala.ramf import RAMFMessage, Recipient
from awala.session_key import SessionKey, generate_session_key
from awala.sessions import replaces_peer_key, unwrap_payload, wrap_payload
from tests import published_vectors as published
from tests.factories import NOW, gateway_certificate
from tests.unit.awala.cms.envelopes import AuthEnvelope, Envelope

PEER_ID = published.certificate("private_gateway_a").node_id
OTHER_PEER_ID = published.certificate("private_gateway_b").node_id
BOUND_KEY_ID = bytes.fromhex(published.key_facts("gw_session_bound_pg_a")["keyIdHex"])
UNBOUND_KEY_ID = bytes.fromhex(published.key_facts("gw_session_unbound")["keyIdHex"])
BOUND_KEY = published.session_private_key("gw_session_bound_pg_a")


class NoKeyError(Exception):
    """The key source has no such key for this peer."""


@dataclass(frozen=True)
class Keys:
    """Private session keys by id, each with the peer that it is bound to, or none."""

    keys: Mapping[bytes, tuple[ec.EllipticCurvePrivateKey, str | None]]

    def load_session_key(self, key_id: bytes, peer_id: str) -> ec.EllipticCurvePrivateKey:
        private_key, bound_to = self.keys.get(key_id, (None, None))
        if private_key is None or bound_to not in {None, peer_id}:
            raise NoKeyError
        return private_key


GATEWAY_KEYS = Keys(
    {
        BOUND_KEY_ID: (BOUND_KEY, PEER_ID),
        UNBOUND_KEY_ID: (published.session_private_key("gw_session_unbound"), None),
    }
)


def cargo(payload: bytes) -> Cargo:
    sender = gateway_certificate("private gateway", issuer=gateway_certificate())
    return Cargo(
        recipient=Recipient(id="0" + "a" * 64),
        id="cargo-1",
        creation_date=NOW,
        ttl_seconds=60,
        payload=payload,
        sender_certificate=sender,
    )


class TestUnwrap:
    def test_javascript_cargo(self) -> None:
        message = Cargo.deserialize(published.read("cargo_to_gateway.bin"))

        unwrapped = unwrap_payload(message, GATEWAY_KEYS)

        items = CargoMessageSet.deserialize(unwrapped.plaintext).items
        assert published.read("parcel_internet.bin") in items
        assert unwrapped.peer_key.key_id.hex() == "86edeaf1ddfcf8eb"

    def test_javascript_cca(self) -> None:
        message = CargoCollectionAuthorization.deserialize(published.read("cca.bin"))

        unwrapped = unwrap_payload(message, GATEWAY_KEYS)

        authorization = CargoCollectionRequest.deserialize(unwrapped.plaintext).delivery_authorization
        assert authorization == published.certificate("cda")
        assert unwrapped.peer_key.key_id.hex() == "775104109d73d8d4"

    def test_jvm_cca(self) -> None:
        message = CargoCollectionAuthorization.deserialize(published.read("jvm_cca.bin"))

        unwrapped = unwrap_payload(message, GATEWAY_KEYS)

        authorization = CargoCollectionRequest.deserialize(unwrapped.plaintext).delivery_authorization
        assert authorization.der == published.read("jvm_cert_cda.der")

    def test_jvm_cargo(self) -> None:
        """In the JVM library's form: indefinite lengths, segments of 1000 octets, SHA-256 and AES-128 wrap."""
        plaintext = CargoMessageSet(items=(published.read("jvm_parcel.bin"),)).serialize()
        sealed = Envelope(
            recipient_public_key=BOUND_KEY.public_key(), plaintext=plaintext, segment_size=1000, indefinite=True
        )

        unwrapped = unwrap_payload(cargo(sealed.encode()), Keys({b"recipient": (BOUND_KEY, None)}))

        assert CargoMessageSet.deserialize(unwrapped.plaintext).items == (published.read("jvm_parcel.bin"),)

    def test_authenticated_content(self) -> None:
        sealed = AuthEnvelope(recipient_public_key=BOUND_KEY.public_key(), plaintext=b"x")

        assert unwrap_payload(cargo(sealed.encode()), Keys({b"recipient": (BOUND_KEY, None)})).plaintext == b"x"

    def test_unbound_key_serves_any_peer(self) -> None:
        message = Cargo.deserialize(published.read("cargo_self_issued_sender.bin"))

        assert unwrap_payload(message, GATEWAY_KEYS).plaintext

    def test_peer_is_named_by_the_sender_certificate(self) -> None:
        asked: list[tuple[bytes, str]] = []

        class Asked:
            def load_session_key(self, key_id: bytes, peer_id: str) -> ec.EllipticCurvePrivateKey:
                asked.append((key_id, peer_id))
                return BOUND_KEY

        unwrap_payload(Cargo.deserialize(published.read("cargo_to_gateway.bin")), Asked())

        assert asked == [(BOUND_KEY_ID, PEER_ID)]

    @pytest.mark.parametrize(
        ("message_type", "file"),
        [(Cargo, "cargo_to_gateway.bin"), (CargoCollectionAuthorization, "jvm_cca.bin")],
    )
    def test_key_bound_to_another_peer(self, message_type: type[RAMFMessage], file: str) -> None:
        keys = Keys({BOUND_KEY_ID: (BOUND_KEY, OTHER_PEER_ID)})

        with pytest.raises(NoKeyError):
            unwrap_payload(message_type.deserialize(published.read(file)), keys)

    def test_unknown_key(self) -> None:
        message = CargoCollectionAuthorization.deserialize(published.read("cca_unknown_session_key.bin"))

        with pytest.raises(NoKeyError):
            unwrap_payload(message, GATEWAY_KEYS)

    def test_another_key_with_the_same_id(self) -> None:
        keys = Keys({BOUND_KEY_ID: (ec.generate_private_key(ec.SECP256R1()), PEER_ID)})

        with pytest.raises(DecryptionError):
            unwrap_payload(Cargo.deserialize(published.read("cargo_to_gateway.bin")), keys)

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"plaintext", id="not encrypted"),
            pytest.param(published.read("enveloped_sessionless.der"), id="without a session"),
            pytest.param(published.read("enveloped_p384_aes128.der"), id="key that answers cannot be encrypted to"),
        ],
    )
    def test_payload_that_cannot_be_answered(self, payload: bytes) -> None:
        with pytest.raises(MalformedMessageError):
            unwrap_payload(cargo(payload), GATEWAY_KEYS)


class TestWrap:
    def test_peer_unwraps_it(self) -> None:
        peer_key, peer_private_key = generate_session_key()

        wrapped = wrap_payload(b"plaintext", peer_key)
        unwrapped = unwrap_payload(cargo(wrapped.payload), Keys({peer_key.key_id: (peer_private_key, None)}))

        assert unwrapped.plaintext == b"plaintext"
        assert unwrapped.peer_key.key_id == wrapped.key_id

    def test_answer_is_decrypted_with_the_key_to_be_stored(self) -> None:
        peer_key, peer_private_key = generate_session_key()
        question = wrap_payload(b"question", peer_key)
        received = unwrap_payload(cargo(question.payload), Keys({peer_key.key_id: (peer_private_key, None)}))

        answer = wrap_payload(b"answer", received.peer_key)
        unwrapped = unwrap_payload(cargo(answer.payload), Keys({question.key_id: (question.private_key, None)}))

        assert unwrapped.plaintext == b"answer"

    def test_each_has_a_key_of_its_own(self) -> None:
        peer_key, _ = generate_session_key()

        assert wrap_payload(b"", peer_key).key_id != wrap_payload(b"", peer_key).key_id

    def test_key_of_a_published_message(self) -> None:
        name = "private_gateway_a_session"
        key_id = bytes.fromhex(published.key_facts(name)["keyIdHex"])

        wrapped = wrap_payload(b"cargo", SessionKey(key_id=key_id, public_key_der=published.spki(name)))

        enveloped_data = EnvelopedData.deserialize(wrapped.payload)
        assert enveloped_data.recipient_key_id == key_id
        assert enveloped_data.decrypt(published.session_private_key(name)) == b"cargo"

    def test_oversized_plaintext(self) -> None:
        peer_key, _ = generate_session_key()

        with pytest.raises(InvalidArgumentError, match="large"):
            wrap_payload(bytes(MAX_PLAINTEXT_SIZE + 1), peer_key)

    def test_no_secrets_in_the_representation(self) -> None:
        peer_key, peer_private_key = generate_session_key()
        wrapped = wrap_payload(b"the secret", peer_key)
        unwrapped = unwrap_payload(cargo(wrapped.payload), Keys({peer_key.key_id: (peer_private_key, None)}))

        assert "secret" not in repr(unwrapped)
        assert "private_key" not in repr(wrapped)


class TestReplacedPeerKeys:
    STORED = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def test_first(self) -> None:
        assert replaces_peer_key(None, self.STORED)

    def test_newer(self) -> None:
        assert replaces_peer_key(self.STORED, self.STORED + timedelta(seconds=1))

    def test_older_though_it_arrives_later(self) -> None:
        assert not replaces_peer_key(self.STORED, self.STORED - timedelta(seconds=1))

    def test_last_of_one_second(self) -> None:
        assert replaces_peer_key(self.STORED, self.STORED)
