"""The traps that deployed clients set for a gateway online, each by its number in the list of protocol facts.

4 to 7 and 11 concern cargo and couriers. The forms of the JVM library (1, 2) are held to its own octets, which need a
clock of their own time: see the tests of the services.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from awala.asn1 import ber, der
from awala.pki import keys
from awala.pki.certificate import Certificate
from tests import factories
from tests.functional.bad_input import INVALID, UNBELIEVABLE
from tests.functional.collector import Collector, drain_queue, sha256_of
from tests.functional.exchange import exchange
from tests.functional.gateway_process import GatewayProcess
from tests.functional.npm_clients import NpmClientError, NpmClients
from tests.functional.npm_nodes import NpmNodes, server_of
from tests.functional.private_gateway import PrivateGateway, complete_registration, deliver_pohttp, pre_register

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def peer(gateway: GatewayProcess) -> PrivateGateway:
    return PrivateGateway.register(gateway)


@pytest.fixture
def nodes(npm: NpmClients, gateway: GatewayProcess) -> NpmNodes:
    return NpmNodes.register(npm, gateway)


# ---------------------------------------------------------------- 1: parcels that are neither DER nor usual BER


def test_trap_1_content_in_definite_length_chunks(gateway: GatewayProcess, nodes: NpmNodes) -> None:
    parcel = nodes.make_parcel(200_000)
    # Content as the JavaScript library cuts it: a constructed OCTET STRING of definite length, in 65 536 octets each.
    assert b"\x24\x83" in parcel.serialized[:100]
    assert b"\x04\x83\x01\x00\x00" in parcel.serialized

    assert deliver_pohttp(gateway, parcel.serialized).status == 202


# ---------------------------------------------------------------- 2: serial numbers that are not minimal


def with_non_minimal_serial(certificate: Certificate, issuer: Certificate) -> Certificate:
    """The certificate as about one in 512 of the JavaScript library's is: `02 08 00 45 ...`."""
    tbs, algorithm, _ = ber.read(certificate.der).members(3)
    version, _, *rest = tbs.members(7, 10)
    serial = der.element(0x02, bytes.fromhex("0045000000000001"))
    tbs_der = der.sequence(version.raw, serial, *(element.raw for element in rest))
    signature = der.bit_string(keys.sign(factories.private_key_of(issuer), tbs_der))
    return Certificate.parse(der.sequence(tbs_der, algorithm.raw, signature))


@pytest.mark.parametrize("whose", ["endpoint", "authorization", "both"])
def test_trap_2_non_minimal_serials(gateway: GatewayProcess, whose: str) -> None:
    peer = PrivateGateway.register(gateway)
    chain = peer.chain
    if whose != "authorization":
        chain = replace(chain, endpoint=with_non_minimal_serial(chain.endpoint, peer.certificate))
    if whose != "endpoint":
        chain = replace(chain, authorization=with_non_minimal_serial(chain.authorization, chain.endpoint))
    parcels = [peer.make_parcel(chain=chain), peer.make_parcel(chain=chain)]

    assert deliver_pohttp(gateway, parcels[0].serialized).status == 202
    assert peer.deliver(parcels[1]).status == 202

    assert sha256_of(drain_queue(gateway.collection_url, peer)) == [parcel.sha256 for parcel in parcels]


def test_trap_2_own_serials_are_minimal(gateway: GatewayProcess) -> None:
    for certificate in (PrivateGateway.register(gateway, "of many serials").certificate for _ in range(8)):
        _, serial, *_ = ber.read(certificate.tbs_der).members(7, 10)
        assert serial.content[0] or serial.content[1] & 0x80


# ---------------------------------------------------------------- 3: parcels that are sent back to back


@pytest.mark.parametrize("payload_size", [0, 500, 20_000])
def test_trap_3_small_parcels_that_wait(gateway: GatewayProcess, nodes: NpmNodes, payload_size: int) -> None:
    """Sent at once, all but the first would be lost on their way through the client."""
    parcels = [nodes.make_parcel(payload_size) for _ in range(10)]
    for parcel in parcels:
        assert deliver_pohttp(gateway, parcel.serialized).status == 202

    signers = [nodes.private_gateway]
    with nodes.npm.collect(server_of(gateway), signers, mode="close-upon-completion") as collection:
        assert collection.wait().parcels == len(parcels)

    assert [parcel.sha256 for parcel in collection.acknowledged] == [parcel.sha256 for parcel in parcels]


def test_trap_3_small_parcels_that_arrive_together(gateway: GatewayProcess, nodes: NpmNodes) -> None:
    parcels = [nodes.make_parcel() for _ in range(10)]

    with nodes.npm.collect(server_of(gateway), [nodes.private_gateway], mode="keep-alive") as collection:
        collection.wait_until_connected()
        for parcel in parcels:
            assert deliver_pohttp(gateway, parcel.serialized).status == 202
        collection.wait_until_acknowledged(len(parcels))

    assert {parcel.sha256 for parcel in collection.acknowledged} == {parcel.sha256 for parcel in parcels}


# ---------------------------------------------------------------- 8: the statuses that decide over a parcel


@pytest.mark.parametrize("name", [*INVALID, *UNBELIEVABLE])
def test_trap_8_what_can_never_be_accepted_gets_422(peer: PrivateGateway, name: str) -> None:
    make = {**INVALID, **UNBELIEVABLE}[name]

    assert peer.deliver(replace(peer.make_parcel(), serialized=make(peer))).status == 422


def test_trap_8_client_drops_what_gets_422(npm: NpmClients, gateway: GatewayProcess, nodes: NpmNodes) -> None:
    expired = nodes.make_parcel(creation_offset_seconds=-100, ttl_seconds=10)

    with pytest.raises(NpmClientError) as raised:
        npm.deliver_parcel_poweb(server_of(gateway), nodes.private_gateway, expired.serialized)

    assert raised.value.name == "RefusedParcelError"


def test_trap_8_repeated_parcel_gets_202(gateway: GatewayProcess, nodes: NpmNodes) -> None:
    """Anything else, and the client would keep what we have."""
    parcel = nodes.make_parcel()

    for _ in range(2):
        nodes.npm.deliver_parcel_poweb(server_of(gateway), nodes.private_gateway, parcel.serialized)
        assert nodes.npm.deliver_parcel_pohttp(gateway.pohttp_url, parcel.serialized) == 202


# ---------------------------------------------------------------- 9: media types without parameters


def test_trap_9_media_types_are_exact(gateway: GatewayProcess, peer: PrivateGateway) -> None:
    authorization = pre_register(gateway, peer.name)
    answers = [
        authorization,
        complete_registration(gateway, peer.name, authorization.body),
        exchange("GET", f"{gateway.poweb_url}/connection-params.der"),
        exchange("GET", f"{gateway.poweb_url}/"),
        exchange("GET", gateway.pohttp_url),
        exchange("POST", gateway.pohttp_url, b"", {"Accept": "application/json; charset=utf-8"}),
    ]

    assert [answer.headers["content-type"] for answer in answers] == [
        "application/vnd.awala.node-registration.authorization",
        "application/vnd.awala.node-registration.registration",
        "application/vnd.etsi.tsl.der",
        "text/plain",
        "text/plain",
        "application/json",
    ]


# ---------------------------------------------------------------- 10: no 1000 in keep-alive


def test_trap_10_keep_alive_is_never_closed_with_1000(gateway: GatewayProcess, peer: PrivateGateway) -> None:
    """Android's collection would end and not begin again."""
    drain_queue(gateway.collection_url, peer)

    with Collector(gateway.collection_url, peer) as collector:
        # Nothing is left to collect, before and after a parcel.
        assert collector.is_sent_nothing(0.5)
        assert peer.deliver(peer.make_parcel()).status == 202
        collector.collect(1)
        assert collector.is_sent_nothing(0.5)
        collector.send("unknown")
        assert collector.wait_until_closed()[0] == 1003


def test_trap_10_stopping_gives_4000(npm: NpmClients, start_gateway: Callable[..., GatewayProcess]) -> None:
    process = start_gateway()
    nodes = NpmNodes.register(npm, process)

    with (
        npm.collect(server_of(process), [nodes.private_gateway], mode="keep-alive") as published,
        Collector(process.collection_url, PrivateGateway.register(process)) as collector,
    ):
        published.wait_until_connected()
        assert collector.is_sent_nothing(0.3)
        assert process.stop() == 0
        assert collector.wait_until_closed()[0] == 4000
        published.wait_until_disconnected()

    assert [closure.code for closure in published.closures] == [4000]


# ---------------------------------------------------------------- 12: dates that clients check without tolerance


def test_trap_12_certificates_are_back_dated(gateway: GatewayProcess) -> None:
    peer = PrivateGateway.register(gateway)
    now = datetime.now(UTC)

    for certificate in (peer.certificate, peer.gateway_certificate):
        assert now - timedelta(hours=4) < certificate.not_before <= now - timedelta(hours=3)


def test_trap_12_registration_is_valid_at_once(npm: NpmClients, nodes: NpmNodes) -> None:
    registration = nodes.registration

    npm.verify_certificate(registration.certificate_der, trusted=[registration.gateway_certificate_der])
