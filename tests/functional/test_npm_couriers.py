"""The published courier checked on its own, against a server that does as it is told."""

import base64
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from tests.functional.gateway_process import Ports
from tests.functional.npm_cargo_values import CourierServer
from tests.functional.npm_clients import NpmClientError, NpmClients
from tests.functional.toy_cargo_relay import ToyCargoRelay
from tests.tls_certificates import write_server_certificate

pytestmark = pytest.mark.functional

CARGOES = [b"first", bytes(500_000), b"third"]


@pytest.fixture
def relay() -> Iterator[ToyCargoRelay]:
    with ToyCargoRelay() as server:
        yield server


def server_of(relay: ToyCargoRelay) -> CourierServer:
    return CourierServer(port=relay.port)


def test_cargo_is_delivered_and_acknowledged(npm: NpmClients, relay: ToyCargoRelay) -> None:
    relay.acknowledge_seconds = 0.3

    delivery = npm.deliver_cargo(server_of(relay), CARGOES).check()

    assert delivery.acknowledged == [0, 1, 2]
    assert relay.delivered == CARGOES
    assert delivery.acknowledgements[0].at_seconds >= 0.3


def test_delivery_of_nothing(npm: NpmClients, relay: ToyCargoRelay) -> None:
    delivery = npm.deliver_cargo(server_of(relay), [])

    assert (delivery.acknowledged, delivery.failure) == ([], None)


def test_quick_acknowledgement_ends_a_slow_delivery(npm: NpmClients, relay: ToyCargoRelay) -> None:
    """As soon as all that was sent is acknowledged, the library stops, whatever is still to come."""
    delivery = npm.deliver_cargo(server_of(relay), CARGOES, pause_seconds=0.3).check()

    assert delivery.acknowledged == [0]
    assert relay.delivered == CARGOES[:1]


def test_slow_acknowledgement_lets_a_slow_delivery_go_on(npm: NpmClients, relay: ToyCargoRelay) -> None:
    relay.acknowledge_seconds = 0.5

    delivery = npm.deliver_cargo(server_of(relay), CARGOES, pause_seconds=0.3).check()

    assert delivery.acknowledged == [0, 1, 2]


def test_delivery_without_acknowledgements_is_given_up(npm: NpmClients, relay: ToyCargoRelay) -> None:
    relay.acknowledge_seconds = None

    delivery = npm.deliver_cargo(server_of(relay), CARGOES, patience_seconds=5)

    assert delivery.acknowledged == []
    assert delivery.failure is not None
    assert 2 < delivery.seconds < 8


def test_delivery_to_nobody(npm: NpmClients) -> None:
    delivery = npm.deliver_cargo(CourierServer(port=Ports.choose().console), CARGOES)

    assert delivery.failure is not None
    assert (delivery.failure.name, delivery.failure.status) == ("CogRPCError", "UNAVAILABLE")
    with pytest.raises(NpmClientError, match="delivering cargo"):
        delivery.check()


def test_cargo_is_collected_and_acknowledged(npm: NpmClients, relay: ToyCargoRelay) -> None:
    relay.cargoes, relay.acks_to_wait_for = CARGOES, 3

    collection = npm.collect_cargo(server_of(relay), b"cca").check()

    assert [cargo.serialized for cargo in collection.cargoes] == CARGOES
    assert relay.acks == ["0", "1", "2"]
    assert relay.authorizations == [f"Relaynet-CCA {base64.b64encode(b'cca').decode()}"]


def test_collection_of_nothing(npm: NpmClients, relay: ToyCargoRelay) -> None:
    assert npm.collect_cargo(server_of(relay), b"cca").check().cargoes == ()


def test_collection_by_a_courier_that_never_acknowledges(npm: NpmClients, relay: ToyCargoRelay) -> None:
    relay.cargoes, relay.acks_to_wait_for = CARGOES, 1

    collection = npm.collect_cargo(server_of(relay), b"cca", acknowledge=False)

    assert len(collection.cargoes) == 3
    assert relay.acks == []
    assert collection.failure is not None
    assert collection.failure.status == "DEADLINE_EXCEEDED"


def test_collection_refused_half_way(npm: NpmClients, relay: ToyCargoRelay) -> None:
    relay.cargoes, relay.status = CARGOES[:1], grpc.StatusCode.PERMISSION_DENIED

    collection = npm.collect_cargo(server_of(relay), b"cca")

    assert [cargo.serialized for cargo in collection.cargoes] == CARGOES[:1]
    assert collection.failure is not None
    assert (collection.failure.name, collection.failure.status) == ("CogRPCError", "PERMISSION_DENIED")


def test_courier_that_takes_no_more_than_it_can_carry(npm: NpmClients, relay: ToyCargoRelay) -> None:
    relay.cargoes = CARGOES

    assert len(npm.collect_cargo(server_of(relay), b"cca", max_cargoes=2).cargoes) == 2


def test_cargo_of_nine_mebibytes(npm: NpmClients, relay: ToyCargoRelay) -> None:
    relay.cargoes = [bytes(9_437_164)]

    collection = npm.collect_cargo(server_of(relay), b"cca").check()
    delivery = npm.deliver_cargo(server_of(relay), [cargo.serialized for cargo in collection.cargoes]).check()

    assert delivery.acknowledged == [0]
    assert relay.delivered == relay.cargoes


def test_tls(npm: NpmClients, tmp_path: Path) -> None:
    certificate = write_server_certificate(tmp_path, ip_addresses=("127.0.0.1",))
    pair = (certificate.key_file.read_bytes(), certificate.certificate_file.read_bytes())
    with ToyCargoRelay(credentials=grpc.ssl_server_credentials([pair])) as relay:
        server = CourierServer(port=relay.port, tls=True)

        assert npm.deliver_cargo(server, CARGOES[:1]).check().acknowledged == [0]
