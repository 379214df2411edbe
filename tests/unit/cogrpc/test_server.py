import time

import grpc
import pytest

from cogrpc import health
from cogrpc.server import CourierServer, Limits, PortTakenError
from gateway.services.check_health import Health

LIMITS = Limits(streams=4, calls=8, metadata_octets=16_384, connection_age=60, connection_idle=60)


@pytest.fixture(autouse=True)
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "check_health", lambda _now: Health(checks=()))


def make(address: str = "127.0.0.1:0") -> CourierServer:
    return CourierServer(address=address, threads=1, limits=LIMITS)


def test_port_is_taken_before_the_server_serves() -> None:
    first = make()
    first.listen()
    try:
        with pytest.raises(PortTakenError):
            make(f"127.0.0.1:{first.port}").listen()
    finally:
        first.start()
        first.stop(0)
        first.join()


def test_server_that_is_told_to_stop_ends() -> None:
    server = make()
    server.listen()
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=10)

    started_at = time.monotonic()
    server.stop(5)
    server.join()
    # Told twice, as by an impatient operator.
    server.stop(5)

    # Nobody was being served, so there was nothing to wait for.
    assert time.monotonic() - started_at < 4
