"""The published clients and a running gateway: register, deliver over PoHTTP and PoWeb, collect in both modes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from awala.pki.keys import node_id
from tests import factories
from tests.functional.collector import drain_queue, sha256_of
from tests.functional.gateway_process import GatewayProcess
from tests.functional.npm_clients import Identity, MadeParcel, NpmClientError, NpmClients, Signer
from tests.functional.npm_nodes import NpmNodes, server_of
from tests.functional.npm_values import HashName, StreamingMode
from tests.functional.private_gateway import INTERNET_ADDRESS, PrivateGateway, deliver_pohttp

pytestmark = pytest.mark.functional

Binding = Literal["pohttp", "poweb"]

# The largest payload that the library puts into a parcel; the parcel then exceeds what a cargo can carry.
LARGEST_PAYLOAD = 8_388_607
SIZES = (0, 1, 500, 65_536, 1_000_000, 8_000_000, LARGEST_PAYLOAD)
HASHES: Sequence[HashName] = ("SHA-256", "SHA-384", "SHA-512")
MODES: Sequence[StreamingMode] = ("close-upon-completion", "keep-alive")


@pytest.fixture(scope="module")
def nodes(npm: NpmClients, gateway: GatewayProcess) -> NpmNodes:
    return NpmNodes.register(npm, gateway)


def import_identity(npm: NpmClients, name: str, modulus: int, hash_name: HashName = "SHA-256") -> Identity:
    """One of the keys of tests/factories.py: long ones take long to make."""
    key = factories.rsa_key(name, modulus)
    return npm.import_identity(
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), hash_name=hash_name
    )


def deliver(gateway: GatewayProcess, nodes: NpmNodes, binding: Binding, parcel: MadeParcel) -> None:
    if binding == "pohttp":
        assert nodes.npm.deliver_parcel_pohttp(gateway.pohttp_url, parcel.serialized) == 202
    else:
        nodes.npm.deliver_parcel_poweb(server_of(gateway), nodes.private_gateway, parcel.serialized)


def collect(gateway: GatewayProcess, nodes: NpmNodes, mode: StreamingMode, number: int = 1) -> list[str]:
    """The digests of what came, all of which a private gateway would take for valid."""
    with nodes.npm.collect(server_of(gateway), [nodes.private_gateway], mode=mode) as collection:
        collection.wait_until_acknowledged(number)
        if mode == "close-upon-completion":
            assert collection.wait().parcels == number
        return [parcel.sha256 for parcel in collection.parcels]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("binding", ["pohttp", "poweb"])
@pytest.mark.parametrize("payload_size", SIZES)
def test_parcel_arrives_as_sent(
    gateway: GatewayProcess, nodes: NpmNodes, payload_size: int, binding: Binding, mode: StreamingMode
) -> None:
    parcel = nodes.make_parcel(payload_size)

    deliver(gateway, nodes, binding, parcel)

    assert collect(gateway, nodes, mode) == [parcel.sha256]


@pytest.mark.parametrize("hash_name", HASHES)
@pytest.mark.parametrize("modulus", [2048, 3072, 4096])
def test_keys_of_endpoints_and_senders(
    npm: NpmClients, gateway: GatewayProcess, modulus: int, hash_name: HashName
) -> None:
    nodes = NpmNodes.register(
        npm,
        gateway,
        endpoint=import_identity(npm, "endpoint", modulus, hash_name),
        sender=import_identity(npm, "sender", modulus, hash_name),
    )
    parcels = [nodes.make_parcel(), nodes.make_parcel()]

    deliver(gateway, nodes, "pohttp", parcels[0])
    deliver(gateway, nodes, "poweb", parcels[1])

    assert collect(gateway, nodes, "close-upon-completion", 2) == [parcel.sha256 for parcel in parcels]


@pytest.mark.parametrize("hash_name", HASHES)
def test_digest_other_than_the_signature_s(gateway: GatewayProcess, nodes: NpmNodes, hash_name: HashName) -> None:
    """The library signs the attributes with SHA-256 whatever digest of the content it was asked for."""
    parcel = nodes.make_parcel(hash_name=hash_name)

    deliver(gateway, nodes, "pohttp", parcel)

    assert collect(gateway, nodes, "close-upon-completion") == [parcel.sha256]


@pytest.mark.parametrize("modulus", [2048, 3072, 4096])
def test_keys_of_private_gateways(npm: NpmClients, gateway: GatewayProcess, modulus: int) -> None:
    nodes = NpmNodes.register(npm, gateway, private_gateway=import_identity(npm, "npm private gateway", modulus))
    parcel = nodes.make_parcel()

    deliver(gateway, nodes, "poweb", parcel)

    assert collect(gateway, nodes, "keep-alive") == [parcel.sha256]


def test_collected_parcels_are_valid_to_a_private_gateway(gateway: GatewayProcess, nodes: NpmNodes) -> None:
    parcel = nodes.make_parcel()
    deliver(gateway, nodes, "pohttp", parcel)

    server, signers = server_of(gateway), [nodes.private_gateway]
    with nodes.npm.collect(server, signers, mode="close-upon-completion", parse=True) as collection:
        collected = collection.next_parcel()

    assert (collected.id, collected.invalid) == (parcel.id, None)


def test_parcels_arrive_while_a_collection_is_open(gateway: GatewayProcess, nodes: NpmNodes) -> None:
    with nodes.npm.collect(server_of(gateway), [nodes.private_gateway], mode="keep-alive") as collection:
        collection.wait_until_connected()
        for binding in ("pohttp", "poweb"):
            parcel = nodes.make_parcel()
            deliver(gateway, nodes, binding, parcel)
            assert collection.next_parcel(timeout=5).sha256 == parcel.sha256
        collection.wait_until_acknowledged(2)
        assert collection.is_running
        collection.stop()

    assert collect(gateway, nodes, "close-upon-completion", 0) == []


def test_parcel_made_in_python_is_valid_in_javascript(npm: NpmClients, gateway: GatewayProcess) -> None:
    peer = PrivateGateway.register(gateway)
    parcel = peer.make_parcel(bytes(100_000))

    read = npm.verify_parcel(parcel.serialized, trusted=[peer.gateway_certificate.der])

    assert (read.id, read.payload_size) == (parcel.id, 100_000)
    assert read.path is not None
    assert read.path[-2:] == (peer.node_id, peer.gateway_certificate.node_id)


# ---------------------------------------------------------------- Registration


def test_registration_as_javascript_reads_it(npm: NpmClients, gateway: GatewayProcess, nodes: NpmNodes) -> None:
    registration = nodes.registration

    certificate = npm.verify_certificate(registration.certificate_der, trusted=[registration.gateway_certificate_der])
    own = npm.verify_certificate(registration.gateway_certificate_der)

    assert certificate.node_id == certificate.common_name == nodes.private_gateway.identity.node_id
    assert certificate.issuer_id == own.node_id == own.common_name == own.issuer_id
    assert certificate.path == (certificate.node_id, own.node_id)
    assert registration.internet_address == INTERNET_ADDRESS
    assert registration.session_key is not None


def test_registration_again(npm: NpmClients, gateway: GatewayProcess, nodes: NpmNodes) -> None:
    renewed = npm.register(server_of(gateway), nodes.private_gateway.identity)

    assert renewed.certificate_der != nodes.registration.certificate_der
    assert renewed.session_key != nodes.registration.session_key


def test_authorization_as_javascript_reads_it(npm: NpmClients, gateway: GatewayProcess) -> None:
    identity = npm.generate_identity()
    server = server_of(gateway)

    authorization = npm.pre_register(server, identity)
    gateway_spki_der = npm.get_connection_params(server).identity_key_der
    read = npm.parse_registration_authorization(authorization, gateway_spki_der)

    assert 7 < (read.expires_at - datetime.now(UTC)).total_seconds() <= 10
    assert npm.complete_registration(server, identity, authorization).session_key is not None
    with pytest.raises(NpmClientError, match="403"):
        npm.complete_registration(server, identity, authorization)


def test_connection_params_as_javascript_reads_them(npm: NpmClients, gateway: GatewayProcess, nodes: NpmNodes) -> None:
    params = npm.get_connection_params(server_of(gateway))
    own = npm.verify_certificate(nodes.registration.gateway_certificate_der)

    assert params.internet_address == INTERNET_ADDRESS
    assert node_id(params.identity_key_der) == own.node_id
    assert params.content_type == "application/vnd.etsi.tsl.der"
    assert params.session_key != nodes.registration.session_key


# ---------------------------------------------------------------- Refusals, by the names that the clients give them


def test_refusals_over_pohttp(gateway: GatewayProcess, nodes: NpmNodes) -> None:
    expired = nodes.make_parcel(creation_offset_seconds=-100, ttl_seconds=10)

    with pytest.raises(NpmClientError) as invalid:
        nodes.npm.deliver_parcel_pohttp(gateway.pohttp_url, expired.serialized)
    with pytest.raises(NpmClientError) as malformed:
        nodes.npm.deliver_parcel_pohttp(gateway.pohttp_url, b"Hello")

    assert invalid.value.name == "PoHTTPInvalidParcelError"
    assert malformed.value.name == "PoHTTPClientBindingError"


def test_collection_with_a_certificate_of_another_gateway(npm: NpmClients, gateway: GatewayProcess) -> None:
    stranger = npm.generate_identity()
    signer = Signer(identity=stranger, certificate_der=npm.issue_certificate("gateway", stranger, issuer=stranger))

    with (
        npm.collect(server_of(gateway), [signer], mode="keep-alive") as collection,
        pytest.raises(NpmClientError, match=r"1003|andshake"),
    ):
        collection.wait()


def test_python_and_javascript_nodes_exchange_parcels(npm: NpmClients, gateway: GatewayProcess) -> None:
    peer = PrivateGateway.register(gateway)
    nodes = NpmNodes.register(npm, gateway)
    to_javascript, to_python = nodes.make_parcel(), peer.make_parcel()

    assert deliver_pohttp(gateway, to_javascript.serialized).status == 202
    npm.deliver_parcel_poweb(server_of(gateway), nodes.private_gateway, to_python.serialized)

    assert collect(gateway, nodes, "close-upon-completion") == [to_javascript.sha256]
    assert sha256_of(drain_queue(gateway.collection_url, peer)) == [to_python.sha256]
