"""The memory of a server with 50 bodies of 8 MiB on their way to it at once."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from benchmarks.apart import Apart, Line
from benchmarks.figures import Figure
from benchmarks.http_load import HOST, LoadError
from benchmarks.population import Population, make_head, make_parcel
from benchmarks.postgresql import PostgreSQLMissingError
from benchmarks.processes import peak_resident_kib, resident_kib
from benchmarks.surroundings import Surroundings
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway, authorization

NAME = "memory"
_BODIES = 50
# The largest payload there may be: with its signature and certificates, the body exceeds 8 MiB.
_PAYLOAD_SIZE = 8 * 2**20 - 1
_PIECE = 64 * 1024
# Between the pieces of a body, so that all bodies arrive in step.
_PAUSE_SECONDS = 0.01

_Part = tuple[bytes, bytes]
"""The head of a request and its body."""


def run(surroundings: Surroundings) -> list[Figure]:
    bodies = surroundings.choose(_BODIES, 10)
    figures = []
    # Each gateway is new: the peak is that of its whole life.
    with surroundings.all_in_one() as gateway:
        population = Population.register(gateway, peers=2, senders=1)
        figures.append(_measure("PoHTTP, all in one", gateway, gateway.ports.pohttp, _for_pohttp(population, bodies)))
    with surroundings.all_in_one() as gateway:
        population = Population.register(gateway, peers=2, senders=1)
        figures.append(_measure("PoWeb, all in one", gateway, gateway.ports.poweb, _for_poweb(population, bodies)))
    try:
        with surroundings.pohttp_alone() as (pohttp, poweb, _):
            population = Population.register(poweb, peers=2, senders=1)
            parts = _for_pohttp(population, bodies)
            figures.append(_measure("PoHTTP + PostgreSQL", pohttp, pohttp.ports.pohttp, parts))
    except PostgreSQLMissingError as error:
        print(f"LEFT OUT: memory with PostgreSQL ({error})")
    return figures


def _for_pohttp(population: Population, number: int) -> list[_Part]:
    parcels = population.make_parcels(number, _PAYLOAD_SIZE)
    return [(make_head("/", len(parcel)), parcel) for parcel in parcels]


def _for_poweb(population: Population, number: int) -> list[_Part]:
    recipient = population.chains[0]
    sender = population.peers[-1]
    return [_countersign(sender, make_parcel(recipient, _PAYLOAD_SIZE)) for _ in range(number)]


def _countersign(sender: PrivateGateway, parcel: bytes) -> _Part:
    countersignature = authorization(sender.countersign(parcel))
    return make_head("/v1/parcels", len(parcel), Authorization=countersignature), parcel


def _measure(name: str, gateway: GatewayProcess, port: int, parts: Sequence[_Part]) -> Figure:
    before = resident_kib(gateway.pid)
    with Apart(partial(_send_all, port=port, parts=parts)) as sender:
        sender.line.hear()  # All bodies have arrived but for their last octets.
        arrived = peak_resident_kib(gateway.pid)
        sender.line.say()
        statuses, seconds = sender.line.hear()
    if statuses != {202: len(parts)}:
        raise LoadError(f"Not every parcel was accepted: {statuses}")
    peak = peak_resident_kib(gateway.pid)
    after = resident_kib(gateway.pid)
    details = {"before_kib": before, "arrived_kib": arrived, "peak_kib": peak, "after_kib": after}
    return Figure(
        benchmark=NAME,
        name=f"{len(parts)} bodies of 8 MiB, {name}",
        value=peak / 1024,
        unit="MiB",
        floor=300,
        goal=150,
        notes=(
            f"{before // 1024} before, {arrived // 1024} with all but the last octets there, {after // 1024} after; "
            f"all answered 202, the last {seconds:.1f} s after the last octets"
        ),
        details=details | {"seconds_to_last_answer": seconds},
    )


def _send_all(line: Line, port: int, parts: Sequence[_Part]) -> None:
    asyncio.run(_send_in_step(line, port, parts))


async def _send_in_step(line: Line, port: int, parts: Sequence[_Part]) -> None:
    statuses: Counter[int] = Counter()
    released_at = 0.0

    async def wait_for_others() -> None:
        nonlocal released_at
        if await barrier.wait() == 0:
            line.say()
            line.hear()
            released_at = time.perf_counter()
        await barrier.wait()

    barrier = asyncio.Barrier(len(parts))
    await asyncio.gather(*(_send(port, part, statuses, wait_for_others) for part in parts))
    line.say((dict(statuses), time.perf_counter() - released_at))


async def _send(port: int, part: _Part, statuses: Counter[int], wait_for_others: Callable[[], Awaitable[None]]) -> None:
    head, body = part
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(head)
    for start in range(0, len(body) - _PIECE, _PIECE):
        writer.write(body[start : start + _PIECE])
        await writer.drain()
        await asyncio.sleep(_PAUSE_SECONDS)
    sent = range(0, len(body) - _PIECE, _PIECE)[-1] + _PIECE
    await wait_for_others()
    writer.write(body[sent:])
    answer = await reader.readuntil(b"\r\n\r\n")
    statuses[int(answer[9:12])] += 1
    writer.close()
