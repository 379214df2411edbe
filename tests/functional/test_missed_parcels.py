"""Parcels that arrive while their collector comes and goes: none is missed, whatever the moment."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.functional.collector import Collector, drain_queue, sha256_of
from tests.functional.gateway_process import GatewayProcess
from tests.functional.npm_clients import NpmClients
from tests.functional.npm_nodes import NpmNodes, server_of
from tests.functional.private_gateway import PrivateGateway, deliver_pohttp

pytestmark = pytest.mark.functional

PARCELS = 40
# As long as a parcel takes to arrive and be collected, so that a connection ends at every stage of that.
LONGEST_PAUSE_SECONDS = 0.15


@contextmanager
def over_and_over(visit: Callable[[random.Random], None], seed: int) -> Iterator[list[BaseException]]:
    """Calls `visit` in another thread until the block ends."""
    is_over = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        rng = random.Random(seed)
        while not is_over.is_set() and not errors:
            try:
                visit(rng)
            except BaseException as error:  # noqa: BLE001 - the test's own thread looks at it
                errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield errors
    finally:
        is_over.set()
        thread.join()


def pause(rng: random.Random) -> None:
    time.sleep(rng.uniform(0, LONGEST_PAUSE_SECONDS))


def pause_between_parcels(number: int, visits: Sequence[object], errors: Sequence[object]) -> None:
    """For a moment at random, and until the collector has come and gone once for every four parcels."""
    pause(random.Random(number))
    while len(visits) < number // 4 and not errors:
        time.sleep(0.01)


def test_published_client_misses_nothing(npm: NpmClients, gateway: GatewayProcess) -> None:
    nodes = NpmNodes.register(npm, gateway)
    server, signers = server_of(gateway), [nodes.private_gateway]
    parcels = [nodes.make_parcel() for _ in range(PARCELS)]
    collected: list[str] = []
    connections: list[int] = []

    def visit(rng: random.Random) -> None:
        with npm.collect(server, signers, mode="keep-alive") as collection:
            collection.wait_until_connected()
            pause(rng)
            collection.stop(abrupt=rng.random() < 0.5)
        collected.extend(parcel.sha256 for parcel in collection.parcels)
        connections.append(collection.connections)

    with over_and_over(visit, seed=40) as errors:
        for number, parcel in enumerate(parcels):
            if number % 2:
                assert npm.deliver_parcel_pohttp(gateway.pohttp_url, parcel.serialized) == 202
            else:
                npm.deliver_parcel_poweb(server, nodes.private_gateway, parcel.serialized)
            pause_between_parcels(number, connections, errors)

    assert errors == []
    with npm.collect(server, signers, mode="close-upon-completion") as collection:
        collection.wait()
    collected.extend(parcel.sha256 for parcel in collection.parcels)
    assert set(collected) == {parcel.sha256 for parcel in parcels}


def test_collector_that_closes_or_is_cut_misses_nothing(gateway: GatewayProcess) -> None:
    peer = PrivateGateway.register(gateway)
    parcels = [peer.make_parcel() for _ in range(PARCELS)]
    acknowledged: list[str] = []
    visits: list[Callable[[], None]] = []

    def visit(rng: random.Random) -> None:
        is_cut = rng.random() < 0.5
        collector = Collector(gateway.collection_url, peer)
        try:
            collector.respond(peer.sign_nonce(collector.nonce))
            until = time.monotonic() + rng.uniform(0, LONGEST_PAUSE_SECONDS)
            while (left := until - time.monotonic()) > 0:
                delivery = collector.take(left)
                if rng.random() < 0.2:
                    return
                collector.acknowledge(delivery)
                acknowledged.extend(sha256_of([delivery.parcel_serialized]))
        except TimeoutError:
            pass
        finally:
            visits.append(collector.cut if is_cut else collector.close)
            visits[-1]()

    with over_and_over(visit, seed=41) as errors:
        for number, parcel in enumerate(parcels):
            answer = deliver_pohttp(gateway, parcel.serialized) if number % 2 else peer.deliver(parcel)
            assert answer.status == 202
            pause_between_parcels(number, visits, errors)

    assert errors == []
    rest = sha256_of(drain_queue(gateway.collection_url, peer))
    assert set(acknowledged) | set(rest) == {parcel.sha256 for parcel in parcels}
    assert drain_queue(gateway.collection_url, peer) == []
