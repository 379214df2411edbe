"""The published courier and a running gateway: how cargo is taken, apart from what becomes of it."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.functional.gateway_process import GatewayProcess
from tests.functional.npm_cargo_values import CourierServer
from tests.functional.npm_clients import NpmClients
from tests.functional.npm_devices import Edges, NpmDevice
from tests.functional.npm_nodes import server_of

pytestmark = pytest.mark.functional


def edges_of(process: GatewayProcess) -> Edges:
    return Edges(
        poweb=server_of(process), pohttp_url=process.pohttp_url, cogrpc=CourierServer(port=process.ports.cogrpc)
    )


@pytest.fixture(scope="module")
def device(npm: NpmClients, gateway: GatewayProcess) -> NpmDevice:
    return NpmDevice.register(npm, edges_of(gateway))


def make_cargoes(device: NpmDevice, number: int, size: int = 100) -> list[bytes]:
    """Each with one item that nothing can be made of."""
    item = uuid.uuid4().bytes + bytes(size)
    return [device.npm.make_cargoes(device.cargo_gateway, [item])[0].serialized for _ in range(number)]


def test_cargo_is_acknowledged(device: NpmDevice) -> None:
    delivery = device.npm.deliver_cargo(device.edges.cogrpc, make_cargoes(device, 3)).check()

    assert sorted(delivery.acknowledged) == [0, 1, 2]


def test_slow_courier_gets_all_its_cargo_across(device: NpmDevice) -> None:
    """The client ends a call as soon as nothing that it sent is unacknowledged."""
    delivery = device.npm.deliver_cargo(device.edges.cogrpc, make_cargoes(device, 4), pause_seconds=0.15).check()

    assert sorted(delivery.acknowledged) == [0, 1, 2, 3]


def test_cargo_that_nobody_will_take_is_acknowledged(npm: NpmClients, device: NpmDevice) -> None:
    tampered = bytearray(make_cargoes(device, 1)[0])
    tampered[-20] ^= 1

    delivery = npm.deliver_cargo(device.edges.cogrpc, [b"Hello", bytes(tampered)]).check()

    assert sorted(delivery.acknowledged) == [0, 1]


def test_much_cargo_within_the_time_limit_of_the_client(device: NpmDevice) -> None:
    delivery = device.npm.deliver_cargo(device.edges.cogrpc, make_cargoes(device, 150, 10_000)).check()

    assert sorted(delivery.acknowledged) == list(range(150))


def test_largest_cargo(device: NpmDevice) -> None:
    (cargo,) = device.npm.make_cargoes(device.cargo_gateway, [bytes(8_322_038)])

    assert device.npm.deliver_cargo(device.edges.cogrpc, [cargo.serialized]).check().acknowledged == [0]


# ---------------------------------------------------------------- Collection


def test_full_queue_is_collected_within_the_time_limit_of_the_client(npm: NpmClients, gateway: GatewayProcess) -> None:
    device = NpmDevice.register(npm, edges_of(gateway))
    sender = device.authorize(npm.generate_identity())
    parcels = [device.make_parcel(sender, 20_000) for _ in range(200)]
    with ThreadPoolExecutor(4) as threads:
        statuses = threads.map(lambda parcel: npm.deliver_parcel_pohttp(gateway.pohttp_url, parcel.serialized), parcels)
        assert set(statuses) == {202}

    cargoes = device.collect_cargo()

    assert {item.sha256 for cargo in cargoes for item in cargo.valid_parcels} == {parcel.sha256 for parcel in parcels}
