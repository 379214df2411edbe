"""The courier server as a whole: its services, TLS and limits, in a process of its own."""

import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from awala.clients.errors import ServerUnavailableError
from tests.functional.conftest import StartGateway
from tests.functional.couriers import courier_of, deliver, make_cargo
from tests.functional.gateway_process import GatewayProcess, GatewayStartError
from tests.functional.private_gateway import PrivateGateway
from tests.functional.raw_grpc import NAMES, RawCall
from tests.tls_certificates import write_server_certificate

pytestmark = pytest.mark.functional

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def ask_health(process: GatewayProcess, service: str) -> Any:
    with grpc.insecure_channel(process.cogrpc_address) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        stub: Any = health_pb2_grpc.HealthStub(channel)
        return stub.Check(request, timeout=10).status


def wait_for_health(process: GatewayProcess, expected: Any) -> None:
    deadline = time.monotonic() + 30
    while ask_health(process, "") != expected:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.parametrize("service", ["", *NAMES])
def test_health(gateway: GatewayProcess, service: str) -> None:
    wait_for_health(gateway, SERVING)

    assert ask_health(gateway, service) == SERVING


def test_health_of_an_unknown_service(gateway: GatewayProcess) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask_health(gateway, "whatever")

    error: Any = caught.value
    assert error.code() is grpc.StatusCode.NOT_FOUND


def test_health_follows_the_storage(start_gateway: StartGateway) -> None:
    process = start_gateway()
    wait_for_health(process, SERVING)
    objects = process.data_dir / "objects"
    away = objects.rename(process.data_dir / "objects away")
    objects.write_bytes(b"no folder")

    wait_for_health(process, NOT_SERVING)

    objects.unlink()
    away.rename(objects)
    wait_for_health(process, SERVING)


def test_reflection_lists_both_names(gateway: GatewayProcess) -> None:
    with grpc.insecure_channel(gateway.cogrpc_address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert {*NAMES, "grpc.health.v1.Health"} <= set(database.get_services())
        for name in NAMES:
            assert b"CollectCargo" in database.FindFileContainingSymbol(name).SerializeToString()


def test_unknown_methods(gateway: GatewayProcess) -> None:
    with RawCall(gateway, "DeleteCargo") as call:
        assert call.status is grpc.StatusCode.UNIMPLEMENTED


# ---------------------------------------------------------------- TLS


def test_tls(start_gateway: StartGateway, tmp_path: Path) -> None:
    files = write_server_certificate(tmp_path)
    process = start_gateway(COGRPC_TLS_CERTIFICATE=str(files.certificate_file), COGRPC_TLS_KEY=str(files.key_file))
    roots = files.certificate_file.read_bytes()
    address = f"localhost:{process.ports.cogrpc}"

    with courier_of(process, address=address, tls=True, root_certificates=roots) as courier:
        assert list(courier.deliver_cargo([("one", b"whatever")])) == ["one"]
    # Neither in the clear nor by whoever does not know the authority.
    for options in ({"tls": False}, {"tls": True}):
        with courier_of(process, address=address, **options) as courier, pytest.raises(ServerUnavailableError):
            list(courier.deliver_cargo([("one", b"whatever")]))


def test_tls_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    environment = {"COGRPC_TLS_CERTIFICATE": missing, "COGRPC_TLS_KEY": missing}

    with pytest.raises(GatewayStartError, match=r"COGRPC_TLS_CERTIFICATE: .* cannot be read"):
        GatewayProcess(tmp_path / "data", environment=environment).manage("rungateway")


# ---------------------------------------------------------------- Limits


def test_messages_over_the_limit_are_refused(gateway: GatewayProcess) -> None:
    with RawCall(gateway, "DeliverCargo") as call:
        call.send(bytes(9_437_184 + 257))
        assert call.status is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_largest_cargo_that_there_may_be_passes(gateway: GatewayProcess) -> None:
    """It is no cargo, and so is dropped; but not for its size."""
    assert deliver(gateway, os.urandom(9_437_184)) == ["0"]


def test_compressed_message_that_unfolds_beyond_the_limit(gateway: GatewayProcess) -> None:
    with grpc.insecure_channel(gateway.cogrpc_address, [("grpc.max_send_message_length", -1)]) as channel:
        method: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"/{NAMES[0]}/DeliverCargo")
        call = method(iter([bytes(100_000_000)]), compression=grpc.Compression.Gzip, timeout=20)
        with pytest.raises(grpc.RpcError):
            list(call)
        assert call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_calls_beyond_the_limit_are_told_to_come_back(start_gateway: StartGateway) -> None:
    process = start_gateway(COGRPC_MAX_CALLS="2")
    # Each on a connection of its own, since a connection lets its further streams wait.
    separate = [("grpc.use_local_subchannel_pool", 1)]
    with (
        RawCall(process, "DeliverCargo", options=separate) as one,
        RawCall(process, "DeliverCargo", options=separate) as two,
    ):
        device = PrivateGateway.register(process)
        for call in (one, two):
            call.deliver("id", make_cargo(device).serialized)
            call.take_ack()
        with RawCall(process, "DeliverCargo", options=separate) as three:
            assert three.status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert deliver(process, b"whatever") == ["0"]


def test_silent_calls_shut_no_courier_out(start_gateway: StartGateway) -> None:
    process = start_gateway()
    separate = [("grpc.use_local_subchannel_pool", 1)]
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(RawCall(process, "DeliverCargo", options=separate, timeout=30))
        time.sleep(1)

        # Within the time that deployed couriers give a call.
        with courier_of(process, timeout=5) as courier:
            assert list(courier.deliver_cargo([("one", b"whatever")])) == ["one"]


def test_id_that_is_too_long(gateway: GatewayProcess) -> None:
    with RawCall(gateway, "DeliverCargo") as call:
        call.deliver("a" * 256, b"whatever")
        assert call.take_ack()[1] == "a" * 256
        call.deliver("a" * 257, b"whatever")
        assert call.status is grpc.StatusCode.INVALID_ARGUMENT


def test_old_connections_are_closed_with_time_to_finish(start_gateway: StartGateway) -> None:
    process = start_gateway(COGRPC_MAX_CONNECTION_AGE_SECONDS="10")
    with RawCall(process, "DeliverCargo", timeout=30) as call:
        for number in range(14):
            call.deliver(str(number), b"whatever")
            assert call.take_ack()[1] == str(number)
            time.sleep(1)
        call.half_close()
        assert call.status is grpc.StatusCode.OK


def test_metrics(gateway: GatewayProcess) -> None:
    deliver(gateway, b"whatever")

    text = httpx.get(f"{gateway.console_url}/metrics").text
    assert 'gateway_cogrpc_calls_total{code="OK",method="DeliverCargo"}' in text
    assert 'gateway_cargoes_total{outcome="refused"}' in text
    assert 'gateway_refusals_total{kind="cargo_refused"}' in text


def test_connections_with_nothing_to_do_are_closed(start_gateway: StartGateway) -> None:
    process = start_gateway(COGRPC_MAX_CONNECTION_IDLE_SECONDS="1")
    with (
        socket.create_connection(("127.0.0.1", process.ports.cogrpc), timeout=30) as silent,
        socket.create_connection(("127.0.0.1", process.ports.cogrpc), timeout=10) as idle,
    ):
        # The preface of HTTP/2 and an empty SETTINGS frame.
        idle.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
        _read_to_the_end(idle)
        # This one never said anything.
        _read_to_the_end(silent)


def _read_to_the_end(connection: socket.socket) -> None:
    """Fails if the other side does not close within the connection's time limit."""
    while connection.recv(65_536):
        pass


def test_port_in_use_is_named(gateway: GatewayProcess, tmp_path: Path) -> None:
    other = GatewayProcess(tmp_path / "data", environment={"COGRPC_BIND": gateway.cogrpc_address})

    with pytest.raises(GatewayStartError, match=r"CogRPC cannot listen on 127\.0\.0\.1:\d+: Address already in use"):
        other.manage("rungateway")
