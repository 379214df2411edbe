import base64
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from awala.clients.cogrpc import CogRPCClient
from awala.clients.errors import (
    ClientError,
    CollectedAlreadyError,
    InvalidAnswerError,
    RejectedCallError,
    ServerUnavailableError,
)
from awala.generated.cogrpc_pb2 import CargoDelivery, CargoDeliveryAck
from tests.tls_certificates import write_server_certificate
from tests.unit.awala.clients.grpc_server import serve_couriers

Context = grpc.ServicerContext
TWO = [("one", b"first"), ("two", b"second")]


def acknowledge_each(deliveries: Iterator[CargoDelivery], _context: Context) -> Iterator[CargoDeliveryAck]:
    for delivery in deliveries:
        yield CargoDeliveryAck(id=delivery.id)


def send_two(_acks: Iterator[CargoDeliveryAck], _context: Context) -> Iterator[CargoDelivery]:
    for delivery_id, cargo in TWO:
        yield CargoDelivery(id=delivery_id, cargo=cargo)


def client_of(address: str, **options: Any) -> CogRPCClient:
    return CogRPCClient(address, **{"tls": False} | options)


class TestDeliverCargo:
    def test_all_is_acknowledged(self) -> None:
        received = []

        def note(deliveries: Iterator[CargoDelivery], _context: Context) -> Iterator[CargoDeliveryAck]:
            for delivery in deliveries:
                received.append((delivery.id, delivery.cargo))
                yield CargoDeliveryAck(id=delivery.id)

        with serve_couriers(deliver=note) as address, client_of(address) as client:
            assert list(client.deliver_cargo(TWO)) == ["one", "two"]

        assert received == TWO

    def test_acknowledgements_in_any_order(self) -> None:
        def acknowledge_last_first(
            deliveries: Iterator[CargoDelivery], _context: Context
        ) -> Iterator[CargoDeliveryAck]:
            for delivery in reversed(list(deliveries)):
                yield CargoDeliveryAck(id=delivery.id)

        with serve_couriers(deliver=acknowledge_last_first) as address, client_of(address) as client:
            assert list(client.deliver_cargo(TWO)) == ["two", "one"]

    def test_no_cargo(self) -> None:
        with serve_couriers(deliver=acknowledge_each) as address, client_of(address) as client:
            assert list(client.deliver_cargo([])) == []

    def test_large_cargo(self) -> None:
        with serve_couriers(deliver=acknowledge_each) as address, client_of(address) as client:
            assert list(client.deliver_cargo([("one", bytes(9_437_184))])) == ["one"]

    def test_acknowledgement_of_what_was_not_sent(self) -> None:
        def invent(_deliveries: Iterator[CargoDelivery], _context: Context) -> Iterator[CargoDeliveryAck]:
            yield CargoDeliveryAck(id="three")

        with (
            serve_couriers(deliver=invent) as address,
            client_of(address) as client,
            pytest.raises(InvalidAnswerError),
        ):
            list(client.deliver_cargo(TWO))

    def test_call_that_ends_too_early(self) -> None:
        def acknowledge_one(deliveries: Iterator[CargoDelivery], _context: Context) -> Iterator[CargoDeliveryAck]:
            yield CargoDeliveryAck(id=next(deliveries).id)
            list(deliveries)

        with serve_couriers(deliver=acknowledge_one) as address, client_of(address) as client:
            acks = client.deliver_cargo(TWO)
            assert next(acks) == "one"
            with pytest.raises(InvalidAnswerError):
                next(acks)

    def test_caller_that_wants_no_more(self) -> None:
        has_ended = threading.Event()

        def acknowledge(deliveries: Iterator[CargoDelivery], context: Context) -> Iterator[CargoDeliveryAck]:
            context.add_callback(has_ended.set)
            yield from acknowledge_each(deliveries, context)

        with serve_couriers(deliver=acknowledge) as address, client_of(address) as client:
            acks = client.deliver_cargo(TWO)
            assert next(acks) == "one"
            acks.close()  # type: ignore[attr-defined] # it is a generator
            assert has_ended.wait(5)


class TestCollectCargo:
    def test_cargo_is_yielded(self) -> None:
        with serve_couriers(collect=send_two) as address, client_of(address) as client:
            collected = [(cargo.id, cargo.cargo_serialized) for cargo in client.collect_cargo(b"cca")]

        assert collected == TWO

    def test_acknowledgements_are_sent(self) -> None:
        acknowledged = []

        def send_on_acknowledgement(acks: Iterator[CargoDeliveryAck], _context: Context) -> Iterator[CargoDelivery]:
            for number in range(3):
                yield CargoDelivery(id=str(number))
                acknowledged.append(next(acks).id)

        with serve_couriers(collect=send_on_acknowledgement) as address, client_of(address) as client:
            for cargo in client.collect_cargo(b"cca"):
                cargo.acknowledge()

        assert acknowledged == ["0", "1", "2"]

    def test_cca_is_shown(self) -> None:
        shown: list[Any] = []

        def note(_acks: Iterator[CargoDeliveryAck], context: Context) -> Iterator[CargoDelivery]:
            shown.extend(value for name, value in context.invocation_metadata() if name == "authorization")
            return iter(())

        with serve_couriers(collect=note) as address, client_of(address) as client:
            assert list(client.collect_cargo(b"the cca" * 500)) == []

        assert shown == [f"Relaynet-CCA {base64.b64encode(b'the cca' * 500).decode()}"]

    def test_caller_that_wants_no_more(self) -> None:
        has_ended = threading.Event()

        def send(_acks: Iterator[CargoDeliveryAck], context: Context) -> Iterator[CargoDelivery]:
            context.add_callback(has_ended.set)
            yield CargoDelivery(id="one")
            has_ended.wait(5)

        with serve_couriers(collect=send) as address, client_of(address) as client:
            cargoes = client.collect_cargo(b"cca")
            next(cargoes)
            cargoes.close()  # type: ignore[attr-defined] # it is a generator
            assert has_ended.wait(5)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, ServerUnavailableError),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ServerUnavailableError),
        (grpc.StatusCode.INTERNAL, ServerUnavailableError),
        (grpc.StatusCode.UNAUTHENTICATED, RejectedCallError),
        (grpc.StatusCode.INVALID_ARGUMENT, RejectedCallError),
        (grpc.StatusCode.PERMISSION_DENIED, CollectedAlreadyError),
    ],
)
def test_statuses(code: grpc.StatusCode, expected: type[ClientError]) -> None:
    def refuse(_messages: Iterator[Any], context: Context) -> Iterator[Any]:
        context.abort(code, "the reason")

    with serve_couriers(deliver=refuse, collect=refuse) as address, client_of(address) as client:
        for call in (client.deliver_cargo(TWO), client.collect_cargo(b"cca")):
            with pytest.raises(expected, match="the reason") as caught:
                list(call)
            assert caught.value.retryable is (expected is ServerUnavailableError)
            if isinstance(caught.value, RejectedCallError):
                assert caught.value.code == code.name


def test_server_without_the_service() -> None:
    with serve_couriers() as address, client_of(address) as client, pytest.raises(RejectedCallError) as caught:
        list(client.collect_cargo(b"cca"))

    assert caught.value.code == "UNIMPLEMENTED"


def test_service_by_the_name_of_the_specification() -> None:
    name = "awala.cogrpc.CargoRelay"
    with serve_couriers(collect=send_two, name=name) as address, client_of(address, service=name) as client:
        assert len(list(client.collect_cargo(b"cca"))) == 2


def test_server_that_takes_too_long() -> None:
    has_ended = threading.Event()

    def wait(_messages: Iterator[Any], context: Context) -> Iterator[Any]:
        context.add_callback(has_ended.set)
        has_ended.wait(10)
        return iter(())

    with (
        serve_couriers(collect=wait) as address,
        client_of(address, timeout=0.3) as client,
        pytest.raises(ServerUnavailableError, match="DEADLINE_EXCEEDED"),
    ):
        list(client.collect_cargo(b"cca"))


def test_server_that_is_not_there() -> None:
    with serve_couriers() as address:
        pass

    with client_of(address) as client, pytest.raises(ServerUnavailableError):
        list(client.deliver_cargo(TWO))


def test_tls(tmp_path: Path) -> None:
    files = write_server_certificate(tmp_path)
    roots = files.certificate_file.read_bytes()
    with serve_couriers(collect=send_two, tls=files) as address:
        with CogRPCClient(address, root_certificates=roots) as client:
            assert len(list(client.collect_cargo(b"cca"))) == 2
        with CogRPCClient(address, timeout=2) as stranger, pytest.raises(ServerUnavailableError):
            list(stranger.collect_cargo(b"cca"))


def test_cargo_source_that_fails() -> None:
    """It is read in another thread, so that the call ends instead."""

    def fail() -> Iterator[tuple[str, bytes]]:
        yield "one", b"first"
        raise ValueError

    with (
        serve_couriers(deliver=acknowledge_each) as address,
        client_of(address) as client,
        pytest.raises(ClientError),
    ):
        list(client.deliver_cargo(fail()))
