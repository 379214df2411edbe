"""The harness checked on its own: the published clients against each other, without a gateway."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.functional.npm_clients import (
    Identity,
    NpmClientError,
    NpmClients,
    NpmProcessError,
    Server,
    ServiceMessage,
    Signer,
)
from tests.functional.npm_values import HashName

pytestmark = pytest.mark.functional

UNUSED_PORT = 9  # The discard service, which nobody runs.


@dataclass(frozen=True, kw_only=True)
class Chain:
    """An Internet gateway, a private gateway under it, its endpoint, and a sender that the endpoint allows."""

    gateway: Signer
    private_gateway: Signer
    endpoint: Signer
    sender: Signer

    @property
    def attached(self) -> list[bytes]:
        return [self.endpoint.certificate_der, self.private_gateway.certificate_der]

    @property
    def ids(self) -> tuple[str, ...]:
        signers = (self.sender, self.endpoint, self.private_gateway, self.gateway)
        return tuple(signer.identity.node_id for signer in signers)


@pytest.fixture(scope="module")
def npm() -> Iterator[NpmClients]:
    with NpmClients.start() as clients:
        yield clients


@pytest.fixture(scope="module")
def chain(npm: NpmClients) -> Chain:
    return make_chain(npm, npm.generate_identity())


def make_chain(npm: NpmClients, sender: Identity) -> Chain:
    gateway, private_gateway, endpoint = (npm.generate_identity() for _ in range(3))
    gateway_der = npm.issue_certificate("gateway", gateway, issuer=gateway)
    private_gateway_der = npm.issue_certificate(
        "gateway", private_gateway, issuer=gateway, issuer_certificate_der=gateway_der
    )
    endpoint_der = npm.issue_certificate(
        "endpoint", endpoint, issuer=private_gateway, issuer_certificate_der=private_gateway_der
    )
    sender_der = npm.issue_certificate(
        "delivery-authorization", sender, issuer=endpoint, issuer_certificate_der=endpoint_der
    )
    return Chain(
        gateway=Signer(identity=gateway, certificate_der=gateway_der),
        private_gateway=Signer(identity=private_gateway, certificate_der=private_gateway_der),
        endpoint=Signer(identity=endpoint, certificate_der=endpoint_der),
        sender=Signer(identity=sender, certificate_der=sender_der),
    )


def recipient_id(chain: Chain) -> str:
    return chain.endpoint.identity.node_id


def test_parcel_is_made_and_verified(npm: NpmClients, chain: Chain) -> None:
    made = npm.make_parcel(
        chain.sender,
        recipient_id(chain),
        payload=b"hello",
        chain=chain.attached,
        parcel_id="parcel-1",
        ttl_seconds=60,
        recipient_internet_address="gateway.example.com",
    )

    parcel = npm.verify_parcel(made.serialized, trusted=[chain.gateway.certificate_der])

    assert made.sha256 == hashlib.sha256(made.serialized).hexdigest()
    assert parcel.path == chain.ids
    assert (parcel.id, parcel.ttl_seconds) == ("parcel-1", 60)
    assert (parcel.recipient_id, parcel.recipient_internet_address) == (
        recipient_id(chain),
        "gateway.example.com",
    )
    assert parcel.sender_id == chain.sender.identity.node_id
    assert parcel.payload_sha256 == hashlib.sha256(b"hello").hexdigest()


@pytest.mark.parametrize("payload_size", [0, 1, 100_000, 8_300_000])
def test_payload_of_every_size(npm: NpmClients, chain: Chain, payload_size: int) -> None:
    made = npm.make_parcel(chain.sender, recipient_id(chain), payload_size=payload_size, chain=chain.attached)

    parcel = npm.verify_parcel(made.serialized, trusted=[chain.gateway.certificate_der])

    assert parcel.payload_size == payload_size


def test_largest_payload_makes_a_parcel_that_the_library_does_not_read(npm: NpmClients, chain: Chain) -> None:
    """It writes payloads up to RAMF's limit, and reads no parcel longer than a cargo can carry."""
    made = npm.make_parcel(chain.sender, recipient_id(chain), payload_size=8_388_607)

    with pytest.raises(NpmClientError, match="must not span more than 8322038 octets"):
        npm.parse_parcel(made.serialized)


def test_payload_too_large(npm: NpmClients, chain: Chain) -> None:
    with pytest.raises(NpmClientError, match="must not exceed 8 MiB") as raised:
        npm.make_parcel(chain.sender, recipient_id(chain), payload_size=8_388_608)

    assert raised.value.name == "RAMFSyntaxError"


def test_parcel_from_a_file(npm: NpmClients, chain: Chain, tmp_path: Path) -> None:
    path = tmp_path / "parcel"
    made = npm.make_parcel(chain.sender, recipient_id(chain), chain=chain.attached)
    path.write_bytes(made.serialized)

    assert npm.parse_parcel(path).id == made.id
    assert path.exists()


@pytest.mark.parametrize("modulus", [2048, 3072, 4096])
def test_every_modulus(npm: NpmClients, modulus: int) -> None:
    chain = make_chain(npm, npm.generate_identity(modulus=modulus))
    made = npm.make_parcel(chain.sender, recipient_id(chain), chain=chain.attached)

    assert npm.verify_parcel(made.serialized, trusted=[chain.gateway.certificate_der]).path == chain.ids


@pytest.mark.parametrize("digest", ["SHA-256", "SHA-384", "SHA-512"])
@pytest.mark.parametrize("key_hash", ["SHA-256", "SHA-384", "SHA-512"])
def test_every_pair_of_hashes(npm: NpmClients, key_hash: HashName, digest: HashName) -> None:
    chain = make_chain(npm, npm.generate_identity(hash_name=key_hash))
    made = npm.make_parcel(chain.sender, recipient_id(chain), chain=chain.attached, hash_name=digest)

    assert npm.verify_parcel(made.serialized, trusted=[chain.gateway.certificate_der]).path == chain.ids


def test_tampered_parcel(npm: NpmClients, chain: Chain) -> None:
    made = npm.make_parcel(chain.sender, recipient_id(chain), payload=b"hello", chain=chain.attached)
    tampered = made.serialized.replace(b"hello", b"jello")

    with pytest.raises(NpmClientError, match="signature") as raised:
        npm.verify_parcel(tampered, trusted=[chain.gateway.certificate_der])

    assert raised.value.name == "RAMFValidationError"


def test_parcel_of_an_untrusted_chain(npm: NpmClients, chain: Chain) -> None:
    stranger = npm.generate_identity()
    stranger_der = npm.issue_certificate("gateway", stranger, issuer=stranger)
    made = npm.make_parcel(chain.sender, recipient_id(chain), chain=chain.attached)

    with pytest.raises(NpmClientError, match="not authorized") as raised:
        npm.verify_parcel(made.serialized, trusted=[stranger_der])

    assert raised.value.name == "InvalidMessageError"


def test_parcel_for_another_recipient(npm: NpmClients, chain: Chain) -> None:
    made = npm.make_parcel(chain.sender, chain.gateway.identity.node_id, chain=chain.attached)

    with pytest.raises(NpmClientError, match="Sender is authorized to reach"):
        npm.verify_parcel(made.serialized, trusted=[chain.gateway.certificate_der])


def test_parcel_of_the_past_and_of_the_future(npm: NpmClients, chain: Chain) -> None:
    past = npm.make_parcel(chain.sender, recipient_id(chain), creation_offset_seconds=-100, ttl_seconds=10)
    future = npm.make_parcel(chain.sender, recipient_id(chain), creation_offset_seconds=100)

    with pytest.raises(NpmClientError, match="expired"):
        npm.verify_parcel(past.serialized)
    with pytest.raises(NpmClientError, match="future"):
        npm.verify_parcel(future.serialized)


def test_service_message_is_sealed_and_opened(npm: NpmClients, chain: Chain) -> None:
    session_key = npm.generate_session_key()
    message = ServiceMessage(type="application/x.test", content=b"hello" * 50_000)
    made = npm.make_parcel(
        chain.sender,
        recipient_id(chain),
        service_message=message,
        recipient_session_key=session_key.public,
        chain=chain.attached,
    )

    assert npm.unwrap_parcel(made.serialized, session_key) == message


def test_expired_certificate(npm: NpmClients) -> None:
    identity = npm.generate_identity()
    ended_at = datetime.now(UTC) - timedelta(seconds=1)
    certificate_der = npm.issue_certificate("endpoint", identity, issuer=identity, not_after=ended_at)

    with pytest.raises(NpmClientError, match="expired"):
        npm.verify_certificate(certificate_der)


def test_certificate_of_a_chain(npm: NpmClients, chain: Chain) -> None:
    certificate = npm.verify_certificate(
        chain.sender.certificate_der,
        intermediates=chain.attached,
        trusted=[chain.gateway.certificate_der],
    )

    assert certificate.path == chain.ids
    assert certificate.node_id == certificate.common_name == chain.sender.identity.node_id
    assert certificate.issuer_id == recipient_id(chain)


def test_identity_moves_from_one_process_to_another(npm: NpmClients) -> None:
    identity = npm.generate_identity()
    private_key_der = npm.export_identity(identity)

    imported = npm.import_identity(private_key_der)

    assert (imported.node_id, imported.spki_der) == (identity.node_id, identity.spki_der)


def test_detached_signature(npm: NpmClients, chain: Chain) -> None:
    signature = npm.sign_detached("parcel-delivery", chain.private_gateway, b"parcel")
    trusted = [chain.gateway.certificate_der]

    signer_id = npm.verify_detached("parcel-delivery", signature, b"parcel", trusted=trusted)

    assert signer_id == chain.private_gateway.identity.node_id
    with pytest.raises(NpmClientError, match="Invalid signature"):
        npm.verify_detached("collection-handshake", signature, b"parcel", trusted=trusted)


def test_registration_request(npm: NpmClients) -> None:
    identity = npm.generate_identity()

    request = npm.parse_registration_request(npm.make_registration_request(identity, b"authorization"))

    assert (request.spki_der, request.authorization) == (identity.spki_der, b"authorization")


def test_cost_of_verification(npm: NpmClients, chain: Chain) -> None:
    made = npm.make_parcel(chain.sender, recipient_id(chain), payload_size=1024, chain=chain.attached)

    cost = npm.bench_verify(made.serialized, trusted=[chain.gateway.certificate_der], iterations=5, warm_up=1)

    assert cost.cpu_microseconds > 0
    assert cost.wall_microseconds > 0


def test_server_away(npm: NpmClients, chain: Chain) -> None:
    server = Server(port=UNUSED_PORT)
    made = npm.make_parcel(chain.sender, recipient_id(chain))

    with pytest.raises(NpmClientError, match="ECONNREFUSED"):
        npm.register(server, chain.private_gateway.identity)
    with pytest.raises(NpmClientError, match="ECONNREFUSED"):
        npm.deliver_parcel_poweb(server, chain.private_gateway, made.serialized)
    with pytest.raises(NpmClientError) as raised:
        npm.deliver_parcel_pohttp(f"http://127.0.0.1:{UNUSED_PORT}", made.serialized)
    assert raised.value.name == "PoHTTPError"
    with (
        npm.collect(server, [chain.private_gateway], mode="keep-alive") as collection,
        pytest.raises(NpmClientError, match="ECONNREFUSED"),
    ):
        collection.wait()


def test_commands_run_side_by_side(npm: NpmClients) -> None:
    with ThreadPoolExecutor(4) as threads:
        identities = list(threads.map(lambda _: npm.generate_identity(), range(8)))

    assert len({identity.node_id for identity in identities}) == 8


def test_unknown_key(npm: NpmClients) -> None:
    with pytest.raises(NpmClientError, match="No key pair has the handle"):
        npm.export_identity(Identity(handle="none", node_id="0", spki_der=b""))


def test_ended_process() -> None:
    npm = NpmClients.start()
    npm.close()

    with pytest.raises(NpmProcessError):
        npm.generate_identity()
