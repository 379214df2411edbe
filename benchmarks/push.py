"""From the arrival of a parcel to its delivery: over a WebSocket that is open, and out of a queue that has waited."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from benchmarks.apart import Apart, Line
from benchmarks.collector_client import CollectorConnection
from benchmarks.figures import Figure
from benchmarks.http_load import HTTPConnection, LoadError, LoadResult, run_load
from benchmarks.population import Collector, Population, make_collector, make_requests
from benchmarks.processes import cpu_seconds
from benchmarks.samples import percentile
from benchmarks.surroundings import Surroundings
from tests.functional.gateway_process import GatewayProcess

NAME = "push"
_KIB = 1024
_LOAD_PER_SECOND = 50
_PATIENCE_SECONDS = 60
# Between samples: longer than the acknowledgement of the last one takes.
_PAUSES_SECONDS = (0.01, 0.03)


@dataclass(kw_only=True)
class _Pushes:
    from_request_ms: list[float] = field(default_factory=list)
    from_answer_ms: list[float] = field(default_factory=list)


def run(surroundings: Surroundings) -> list[Figure]:
    with surroundings.all_in_one() as gateway:
        population = Population.register(gateway)
        samples = surroundings.choose(300, 60)
        _push(gateway, population, 30)  # A first time, to warm up.
        idle = _push(gateway, population, samples)
        loaded = _push_under_load(gateway, population, samples)
        return [
            *_report_pushes("no load", idle),
            *_report_pushes(f"{_LOAD_PER_SECOND} parcels/s for others", loaded),
            _collect(gateway, population, collectors=1, parcels=surroundings.choose(1_000, 200)),
            _collect(gateway, population, collectors=10, parcels=surroundings.choose(200, 40)),
        ]


# ---------------------------------------------------------------- one parcel at a time


def _push(gateway: GatewayProcess, population: Population, samples: int) -> _Pushes:
    peer = population.peers[0]
    requests = make_requests(population.make_parcels_for(peer, samples, _KIB))
    work = partial(_watch, gateway=gateway, collector=make_collector(peer), requests=requests)
    with Apart(work) as watcher:
        pushes: _Pushes = watcher.line.hear()
    return pushes


def _push_under_load(gateway: GatewayProcess, population: Population, samples: int) -> _Pushes:
    # For the last peers alone, of whom none is connected: their parcels wait.
    others = [parcel for peer in population.peers[5:] for parcel in population.make_parcels_for(peer, samples, _KIB)]
    load = run_load(gateway.ports.pohttp, make_requests(others), connections=4, per_second=_LOAD_PER_SECOND)
    with load as generator:
        generator.line.hear()
        generator.line.say()
        pushes = _push(gateway, population, samples)
        if generator.line.is_speaking:
            raise LoadError("The load ended before the samples did")
        generator.kill()
    return pushes


def _watch(line: Line, gateway: GatewayProcess, collector: Collector, requests: Sequence[bytes]) -> None:
    line.say(asyncio.run(_post_and_watch(gateway, collector, requests)))


async def _post_and_watch(gateway: GatewayProcess, collector: Collector, requests: Sequence[bytes]) -> _Pushes:
    pushes = _Pushes()
    pushed: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    collection = await CollectorConnection.open(
        gateway.ports.poweb, collector, lambda _, message: pushed.put_nowait((time.perf_counter(), message))
    )
    sender = await HTTPConnection.open(gateway.ports.pohttp)
    await asyncio.sleep(0.3)  # Until the handshake has been checked.
    for request in requests:
        began_at = time.perf_counter()
        status = await sender.request(request)
        assert status == 202, status
        pushed_at, message = await asyncio.wait_for(pushed.get(), _PATIENCE_SECONDS)
        pushes.from_request_ms.append((pushed_at - began_at) * 1000)
        pushes.from_answer_ms.append((pushed_at - sender.answered_at) * 1000)
        collection.acknowledge(message)
        await asyncio.sleep(random.uniform(*_PAUSES_SECONDS))
    return pushes


def _report_pushes(name: str, pushes: _Pushes) -> list[Figure]:
    from_request, from_answer = pushes.from_request_ms, pushes.from_answer_ms
    return [
        Figure(
            benchmark=NAME,
            name=f"request to push p99, {name}",
            value=percentile(from_request, 99),
            unit="ms",
            floor=50,
            goal=20,
            notes=(
                f"p50 {percentile(from_request, 50):.1f} ms; after the 202: p50 {percentile(from_answer, 50):.2f}, "
                f"p99 {percentile(from_answer, 99):.2f} ms (negative: before it); {len(from_request)} samples"
            ),
            details={
                "from_request_p50_ms": percentile(from_request, 50),
                "from_request_p99_ms": percentile(from_request, 99),
                "from_answer_p50_ms": percentile(from_answer, 50),
                "from_answer_p99_ms": percentile(from_answer, 99),
                "samples": len(from_request),
            },
        ),
    ]


# ---------------------------------------------------------------- what has waited


def _collect(gateway: GatewayProcess, population: Population, *, collectors: int, parcels: int) -> Figure:
    """Each collector, one parcel in flight, collects that many parcels of its own."""
    peers = population.peers[:collectors]
    waiting = [parcel for peer in peers for parcel in population.make_parcels_for(peer, parcels, _KIB)]
    with run_load(gateway.ports.pohttp, make_requests(waiting), connections=8) as generator:
        generator.line.hear()
        generator.line.say()
        filled: LoadResult = generator.line.hear()
    filled.check()
    work = partial(
        _empty_queues, port=gateway.ports.poweb, collectors=[make_collector(peer) for peer in peers], each=parcels
    )
    with Apart(work) as client:
        client.line.hear()
        before = cpu_seconds(gateway.pid)
        client.line.say()
        seconds, client_cpu = client.line.hear()
        after = cpu_seconds(gateway.pid)
    cpu_ms = (after - before) * 1000 / len(waiting)
    return Figure(
        benchmark=NAME,
        name=f"collection, {collectors} collector{'s' if collectors > 1 else ''}, 1 KiB",
        value=len(waiting) / seconds,
        unit="parcels/s",
        more_is_better=True,
        notes=f"one in flight each; server CPU {cpu_ms:.2f} ms per parcel; client {client_cpu / seconds:.0%} of a core",
        details={"server_cpu_ms_per_parcel": cpu_ms, "client_cores": client_cpu / seconds, "parcels": len(waiting)},
    )


def _empty_queues(line: Line, port: int, collectors: Sequence[Collector], each: int) -> None:
    line.say()
    line.hear()
    line.say(asyncio.run(_collect_all(port, collectors, each)))


async def _collect_all(port: int, collectors: Sequence[Collector], each: int) -> tuple[float, float]:
    left = each * len(collectors)
    done = asyncio.Event()

    def count(connection: CollectorConnection, message: bytes) -> None:
        nonlocal left
        connection.acknowledge(message)
        left -= 1
        if left == 0:
            done.set()

    began_at, cpu_before = time.perf_counter(), time.process_time()
    await asyncio.gather(*(CollectorConnection.open(port, collector, count) for collector in collectors))
    await asyncio.wait_for(done.wait(), _PATIENCE_SECONDS * 5)
    seconds = time.perf_counter() - began_at
    await asyncio.sleep(0.2)  # For the last acknowledgements.
    return seconds, time.process_time() - cpu_before
