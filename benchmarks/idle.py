"""Thousands of collectors that wait: the memory of each, and the CPU time of all."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from benchmarks.apart import Apart, Line
from benchmarks.collector_client import CollectorConnection
from benchmarks.figures import Figure
from benchmarks.http_load import LoadError
from benchmarks.population import Collector, make_collector
from benchmarks.processes import cpu_seconds, resident_kib
from benchmarks.surroundings import Surroundings
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway

NAME = "idle"
_HANDSHAKES_AT_ONCE = 32
_STARTED = '"collection_started"'
_PATIENCE_SECONDS = 120
_SETTLING_SECONDS = 6.0


def run(surroundings: Surroundings) -> list[Figure]:
    number = surroundings.choose(2_000, 200)
    seconds = surroundings.choose(30, 10)
    with surroundings.all_in_one() as gateway:
        peers = [PrivateGateway.register(gateway, f"peer {place}") for place in range(number // 10)]
        collectors = [make_collector(peer) for peer in peers] * 10
        # Whatever the server does once, such as starting threads, is not the idle collectors' cost.
        with Apart(partial(_hold, port=gateway.ports.poweb, collectors=collectors[:20])) as first:
            first.line.hear()
            _wait_until_started(gateway, 20)
            first.line.say()
            first.line.hear()
        time.sleep(1)
        return _measure(gateway, collectors, seconds)


def _measure(gateway: GatewayProcess, collectors: Sequence[Collector], seconds: int) -> list[Figure]:
    number = len(collectors)
    already = gateway.log.count(_STARTED)
    resting_cpu = _cpu_share(gateway, 5)
    before = resident_kib(gateway.pid)
    cpu_before, began_at = cpu_seconds(gateway.pid), time.monotonic()
    with Apart(partial(_hold, port=gateway.ports.poweb, collectors=collectors)) as client:
        client.line.hear()
        _wait_until_started(gateway, already + number)
        connected = time.monotonic() - began_at
        handshake_ms = (cpu_seconds(gateway.pid) - cpu_before) * 1000 / number
        time.sleep(_SETTLING_SECONDS)
        client_before = cpu_seconds(client.pid)
        share = _cpu_share(gateway, seconds)
        client_share = (cpu_seconds(client.pid) - client_before) / seconds
        each = (resident_kib(gateway.pid) - before) / number
        client.line.say()
        lost, pings = client.line.hear()
    if lost:
        raise LoadError(f"{lost} of {number} collectors lost their connection")
    return [
        Figure(
            benchmark=NAME,
            name=f"memory per collector, of {number:,}",
            value=each,
            unit="KiB",
            floor=45,
            goal=30,
            notes=f"server {before // 1024} MiB without them; {pings:,} pings answered, no connection lost",
            details={"before_kib": before, "collectors": number, "pings": pings},
        ),
        Figure(
            benchmark=NAME,
            name=f"CPU of {number:,} collectors",
            value=share * 100,
            unit="% of a core",
            notes=f"{resting_cpu:.1%} without them; over {seconds} s; client {client_share:.1%}",
            details={"without_percent": resting_cpu * 100, "client_percent": client_share * 100},
        ),
        Figure(
            benchmark=NAME,
            name=f"time to connect {number:,}",
            value=connected,
            unit="s",
            notes=f"server CPU {handshake_ms:.2f} ms per handshake; {_HANDSHAKES_AT_ONCE} at once",
            details={"server_cpu_ms_per_handshake": handshake_ms},
        ),
    ]


def _cpu_share(gateway: GatewayProcess, seconds: float) -> float:
    before, began_at = cpu_seconds(gateway.pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(gateway.pid) - before) / (time.monotonic() - began_at)


def _wait_until_started(gateway: GatewayProcess, number: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while gateway.log.count(_STARTED) < number:
        if time.monotonic() > deadline:
            raise LoadError(f"Only {gateway.log.count(_STARTED)} of {number} collections have started")
        time.sleep(0.05)


def _hold(line: Line, port: int, collectors: Sequence[Collector]) -> None:
    asyncio.run(_connect_and_hold(line, port, collectors))


async def _connect_and_hold(line: Line, port: int, collectors: Sequence[Collector]) -> None:
    turns = asyncio.Semaphore(_HANDSHAKES_AT_ONCE)

    async def connect(collector: Collector) -> CollectorConnection:
        async with turns:
            return await CollectorConnection.open(port, collector, _refuse_parcel)

    connections = await asyncio.gather(*map(connect, collectors))
    line.say()
    await asyncio.to_thread(line.hear)
    lost = sum(connection.is_lost for connection in connections)
    line.say((lost, sum(connection.pings for connection in connections)))
    for connection in connections:
        connection.transport.close()


def _refuse_parcel(_connection: CollectorConnection, _message: bytes) -> None:
    raise LoadError("An idle collector was sent a parcel")
