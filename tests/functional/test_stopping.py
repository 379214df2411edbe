"""What clients see of a gateway that is asked to stop: a code that brings them back, and nothing lost."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from awala.collection import SERVER_STOPPING
from tests.functional.collector import CLOSE_UPON_COMPLETION, KEEP_ALIVE, Collector, drain_queue, sha256_of
from tests.functional.gateway_process import GatewayProcess
from tests.functional.npm_clients import NpmClientError, NpmClients, Server, Signer
from tests.functional.private_gateway import PrivateGateway, deliver_pohttp

pytestmark = pytest.mark.functional

StartGateway = Callable[..., GatewayProcess]


@pytest.mark.parametrize("command", ["rungateway", "runpoweb"])
def test_collections_are_told_to_come_back(start_gateway: StartGateway, command: str) -> None:
    process = start_gateway()
    peer = PrivateGateway.register(process)
    if command == "runpoweb":
        process.stop()
        process = start_gateway(command)

    with Collector(process.collection_url, peer) as idle:
        unfinished = Collector(process.collection_url)
        started_at = time.monotonic()
        process.terminate()

        for collector in (idle, unfinished):
            assert collector.wait_until_closed() == (SERVER_STOPPING.code, SERVER_STOPPING.reason)
        unfinished.close()

    assert process.wait() == 0
    assert time.monotonic() - started_at < 10


@pytest.mark.parametrize("mode", [KEEP_ALIVE, CLOSE_UPON_COMPLETION])
def test_acknowledgement_sent_before_is_honoured(start_gateway: StartGateway, mode: str) -> None:
    process = start_gateway()
    peer = PrivateGateway.register(process)
    parcels = [peer.make_parcel() for _ in range(2)]
    for parcel in parcels:
        assert peer.deliver(parcel).status == 202

    with Collector(process.collection_url, peer, mode=mode) as collector:
        collector.acknowledge(collector.take())
        process.terminate()
        assert collector.wait_until_closed()[0] == SERVER_STOPPING.code

    assert process.wait() == 0
    process.start()
    assert sha256_of(drain_queue(process.collection_url, peer)) == [parcels[1].sha256]


def test_parcel_in_flight_comes_again(start_gateway: StartGateway) -> None:
    process = start_gateway()
    peer = PrivateGateway.register(process)
    parcel = peer.make_parcel()
    assert peer.deliver(parcel).status == 202

    with Collector(process.collection_url, peer) as collector:
        collector.take()
        assert process.stop() == 0

    process.start()
    assert sha256_of(drain_queue(process.collection_url, peer)) == [parcel.sha256]


def test_requests_under_way_are_answered(start_gateway: StartGateway) -> None:
    """Whatever was answered 202, before or while the gateway stopped, is there afterwards."""
    process = start_gateway()
    peer = PrivateGateway.register(process)
    parcels = [peer.make_parcel() for _ in range(60)]

    def deliver(index: int) -> str | None:
        try:
            if index % 2:
                accepted = peer.deliver(parcels[index]).status == 202
            else:
                accepted = deliver_pohttp(process, parcels[index].serialized).status == 202
        except OSError:
            return None
        return parcels[index].sha256 if accepted else None

    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(deliver, index) for index in range(len(parcels))]
        answers[20].result()
        assert process.stop() == 0
        accepted = {answer.result() for answer in answers} - {None}

    process.start()
    assert len(accepted) > 20
    assert accepted <= set(sha256_of(drain_queue(process.collection_url, peer)))


def test_published_client_comes_back_after_a_stop(start_gateway: StartGateway, npm: NpmClients) -> None:
    """In keep-alive mode the library raises, and the application around it connects again."""
    process = start_gateway()
    server = Server(port=process.ports.poweb)
    identity = npm.generate_identity()
    signer = Signer(identity=identity, certificate_der=npm.register(server, identity).certificate_der)

    with npm.collect(server, [signer], mode="keep-alive") as collection:
        collection.wait_until_connected()
        time.sleep(0.3)
        assert process.stop() == 0
        with pytest.raises(NpmClientError, match="4000"):
            collection.wait()
        assert [closure.code for closure in collection.closures] == [4000]

    process.start()
    with npm.collect(server, [signer], mode="close-upon-completion") as collection:
        assert collection.wait().parcels == 0


def test_every_acknowledgement_sent_before_is_honoured(start_gateway: StartGateway) -> None:
    process = start_gateway(MAX_PARCELS_IN_FLIGHT="5")
    peer = PrivateGateway.register(process)
    for _ in range(5):
        assert peer.deliver(peer.make_parcel()).status == 202

    with Collector(process.collection_url, peer) as collector:
        for delivery in [collector.take() for _ in range(5)]:
            collector.acknowledge(delivery)
        process.terminate()
        assert collector.wait_until_closed()[0] == SERVER_STOPPING.code

    assert process.wait() == 0
    process.start()
    assert drain_queue(process.collection_url, peer) == []
