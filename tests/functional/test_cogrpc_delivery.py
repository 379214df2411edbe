"""DeliverCargo, by our own courier and by bare calls, on a gateway in a process of its own."""

import os
import time
from datetime import timedelta

import grpc
import pytest

from awala.ramf import Recipient
from tests import factories
from tests.functional.conftest import StartGateway
from tests.functional.couriers import courier_of, deliver, make_cargo
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway, in_whole_seconds
from tests.functional.raw_grpc import NAMES, RawCall
from tests.functional.record import rows_of

pytestmark = pytest.mark.functional

# What the deployed JavaScript and JVM clients call themselves.
NODE_CLIENT = (("grpc.primary_user_agent", "grpc-node-js/1.12.2"),)
JVM_CLIENT = (("grpc.primary_user_agent", "grpc-java-okhttp/1.50.2"),)


@pytest.fixture(scope="module")
def device(gateway: GatewayProcess) -> PrivateGateway:
    return PrivateGateway.register(gateway)


def stored(device: PrivateGateway) -> list[dict[str, object]]:
    return rows_of(device.process, "incomingcargo", peer_id=device.node_id)


def test_cargo_is_acknowledged_and_kept(gateway: GatewayProcess) -> None:
    device = PrivateGateway.register(gateway)
    cargo = make_cargo(device, [b"item"])

    assert deliver(gateway, cargo.serialized) == ["0"]

    (row,) = stored(device)
    assert (gateway.data_dir / "objects" / str(row["object_key"])).exists() or row["state"] != "pending"


@pytest.mark.parametrize("name", NAMES)
def test_both_names_of_the_service(gateway: GatewayProcess, device: PrivateGateway, name: str) -> None:
    with RawCall(gateway, "DeliverCargo", name=name) as call:
        call.deliver("an id", make_cargo(device).serialized)

        # Without waiting for the end of the stream, which the JavaScript client sends last.
        assert call.take_ack()[1] == "an id"
        call.half_close()
        assert call.status is grpc.StatusCode.OK


def test_many_cargoes_in_one_call(gateway: GatewayProcess) -> None:
    device = PrivateGateway.register(gateway)
    cargoes = [make_cargo(device, [os.urandom(10_000)]).serialized for _ in range(30)]

    assert sorted(deliver(gateway, *cargoes)) == sorted(str(number) for number in range(30))

    assert len(stored(device)) == 30


def test_large_cargoes(gateway: GatewayProcess) -> None:
    device = PrivateGateway.register(gateway)
    cargoes = [make_cargo(device, [os.urandom(8_000_000)]).serialized for _ in range(3)]

    assert sorted(deliver(gateway, *cargoes)) == ["0", "1", "2"]

    assert len(stored(device)) == 3


def test_repeated_cargo_is_acknowledged_and_kept_once(gateway: GatewayProcess) -> None:
    device = PrivateGateway.register(gateway)
    cargo = make_cargo(device)

    assert deliver(gateway, cargo.serialized) == ["0"]
    assert sorted(deliver(gateway, cargo.serialized, cargo.serialized)) == ["0", "1"]

    assert len(stored(device)) == 1


def to_another_gateway(device: PrivateGateway) -> bytes:
    return make_cargo(device, recipient=Recipient(id=factories.id_of("another gateway"))).serialized


def by_a_stranger(device: PrivateGateway) -> bytes:
    stranger = factories.gateway_certificate("stranger")
    return make_cargo(device, sender=stranger).serialized


BAD_CARGO = {
    "empty": lambda _: b"",
    "octets of any kind": lambda _: os.urandom(1_000),
    "a parcel": lambda device: device.make_parcel().serialized,
    "tampered with": lambda device: make_cargo(device).serialized[:-1] + b"\0",
    "expired": lambda device: make_cargo(device, ttl_seconds=60).serialized,
    "of the future": lambda device: make_cargo(device, creation_date=in_whole_seconds(timedelta(minutes=5))).serialized,
    "to another gateway": to_another_gateway,
    "by a stranger": by_a_stranger,
}


@pytest.mark.parametrize("name", BAD_CARGO)
def test_bad_cargo_is_acknowledged_and_dropped(gateway: GatewayProcess, name: str) -> None:
    """So that couriers throw it away; the good ones around it are kept."""
    device = PrivateGateway.register(gateway)
    bad = BAD_CARGO[name](device)

    acknowledged = deliver(gateway, make_cargo(device).serialized, bad, make_cargo(device).serialized)

    assert sorted(acknowledged) == ["0", "1", "2"]
    assert len(stored(device)) == 2
    assert rows_of(gateway, "event", kind="cargo_refused")


def test_octets_that_are_no_message_end_the_call(gateway: GatewayProcess) -> None:
    with RawCall(gateway, "DeliverCargo") as call:
        call.send(b"\xff\xff\xff")

        assert call.status is grpc.StatusCode.INVALID_ARGUMENT


def test_cancelled_call_harms_no_other(gateway: GatewayProcess, device: PrivateGateway) -> None:
    for _ in range(20):
        with RawCall(gateway, "DeliverCargo") as call:
            call.deliver("one", make_cargo(device).serialized)
            call.cancel()

    assert deliver(gateway, make_cargo(device).serialized) == ["0"]
    assert "call_broke" not in gateway.log


# ---------------------------------------------------------------- Trap 11


def test_last_acknowledgement_to_the_javascript_client_waits(gateway: GatewayProcess, device: PrivateGateway) -> None:
    """It stops once all that it has sent is acknowledged, even if it has more to send."""
    with RawCall(gateway, "DeliverCargo", options=NODE_CLIENT) as call:
        started_at = time.monotonic()
        call.deliver("first", make_cargo(device).serialized)
        time.sleep(0.15)
        assert call.answers.empty()
        sent_at = time.monotonic()
        call.deliver("second", make_cargo(device).serialized)

        first_at, first = call.take_ack()
        second_at, second = call.take_ack()
        assert (first, second) == ("first", "second")
        assert first_at >= sent_at > started_at
        assert 0.25 <= second_at - sent_at < 1


def test_end_of_the_stream_releases_the_last_acknowledgement(gateway: GatewayProcess, device: PrivateGateway) -> None:
    with RawCall(gateway, "DeliverCargo", options=NODE_CLIENT) as call:
        cargo = make_cargo(device).serialized
        sent_at = time.monotonic()
        call.deliver("only", cargo)
        call.half_close()

        assert call.take_ack()[0] - sent_at < 0.25
        assert call.status is grpc.StatusCode.OK


def test_other_clients_are_answered_at_once(gateway: GatewayProcess, device: PrivateGateway) -> None:
    with RawCall(gateway, "DeliverCargo", options=JVM_CLIENT) as call:
        cargo = make_cargo(device).serialized
        sent_at = time.monotonic()
        call.deliver("only", cargo)

        assert call.take_ack()[0] - sent_at < 0.25


# ---------------------------------------------------------------- What fails on our side


def test_failing_storage_leaves_cargo_with_the_courier(start_gateway: StartGateway) -> None:
    process = start_gateway()
    device = PrivateGateway.register(process)
    cargo = make_cargo(device).serialized
    objects = process.data_dir / "objects"
    objects.mkdir(exist_ok=True)
    away = objects.rename(process.data_dir / "objects away")
    objects.write_bytes(b"no folder")
    try:
        with RawCall(process, "DeliverCargo") as call:
            call.deliver("one", cargo)
            assert call.status is grpc.StatusCode.UNAVAILABLE
            assert call.details == "The gateway cannot do this now; try again later"
        assert stored(device) == []
    finally:
        objects.unlink()
        away.rename(objects)

    assert deliver(process, cargo) == ["0"]


def test_stop_lets_a_call_end(start_gateway: StartGateway) -> None:
    process = start_gateway()
    device = PrivateGateway.register(process)
    with RawCall(process, "DeliverCargo") as call:
        call.deliver("one", make_cargo(device).serialized)
        call.take_ack()
        process.terminate()
        time.sleep(0.3)
        call.deliver("two", make_cargo(device).serialized)

        assert call.take_ack()[1] == "two"
        call.half_close()
        assert call.status is grpc.StatusCode.OK
    assert process.wait() == 0
    assert len(stored(device)) == 2


def test_cargo_survives_a_kill_after_its_acknowledgement(start_gateway: StartGateway) -> None:
    process = start_gateway()
    device = PrivateGateway.register(process)
    with courier_of(process) as courier:
        acks = courier.deliver_cargo((str(number), make_cargo(device).serialized) for number in range(50))
        acknowledged = [next(acks) for _ in range(5)]
        process.kill()
    process.start()

    assert len(stored(device)) >= len(acknowledged)
