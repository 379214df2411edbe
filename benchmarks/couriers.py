"""CogRPC: cargo brought and fetched by couriers, each cargo durable before it is acknowledged."""

import os
import threading
import time
from collections.abc import Sequence
from functools import partial

from awala.clients.cogrpc import CogRPCClient
from benchmarks.apart import Apart, Line
from benchmarks.figures import Figure
from benchmarks.http_load import LoadError
from benchmarks.processes import cpu_seconds, peak_resident_kib
from benchmarks.samples import median
from benchmarks.surroundings import Surroundings
from tests.functional.couriers import MadeMessage, make_cargo, make_cca
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway, deliver_pohttp

NAME = "couriers"
_KIB = 1024
_MIB = 1024 * 1024
_CALLS_AT_ONCE = 8
# Rounds may take longer than a courier would wait: how long they take is what is asked.
_PATIENCE_SECONDS = 120


def run(surroundings: Surroundings) -> list[Figure]:
    with surroundings.all_in_one() as gateway:
        device = PrivateGateway.register(gateway)
        gateway.stop()
        # Without the worker, which would begin to unwrap at once: what is asked for is the rate of this role.
        with GatewayProcess(gateway.data_dir, "runcogrpc") as alone:
            deliveries = _measure_delivery(surroundings, alone, device)
    with surroundings.all_in_one() as gateway:
        figures = [
            _measure_collection(surroundings, gateway, parcels=200, size=20_000, floor=1, goal=0.4),
            _measure_collection(surroundings, gateway, parcels=40, size=_MIB, floor=3, goal=1),
            _measure_collection(surroundings, gateway, parcels=10, size=8_000_000, floor=None, goal=None),
        ]
        peak = peak_resident_kib(gateway.pid) / _KIB
    return [
        deliveries,
        *figures,
        Figure(benchmark=NAME, name="memory at its peak", value=peak, unit="MiB", floor=300, goal=150),
    ]


def _measure_delivery(surroundings: Surroundings, gateway: GatewayProcess, device: PrivateGateway) -> Figure:
    rates, loads = [], []
    number = surroundings.choose(1_000, 100)
    for _ in range(surroundings.choose(3, 1)):
        cargoes = [make_cargo(device, [os.urandom(10_000)]).serialized for _ in range(number)]
        cpu = cpu_seconds(gateway.pid)
        with Apart(partial(_deliver_all, address=gateway.cogrpc_address, cargoes=cargoes)) as courier:
            acknowledged, seconds = courier.line.hear()
        if acknowledged != number:
            raise LoadError(f"{acknowledged} of {number} cargoes were acknowledged")
        rates.append(number / seconds)
        loads.append((cpu_seconds(gateway.pid) - cpu) / number * 1_000)
    return Figure(
        benchmark=NAME,
        name=f"DeliverCargo, 10 KB, {_CALLS_AT_ONCE} calls at once, CogRPC alone",
        value=median(rates),
        unit="cargoes/s",
        floor=200,
        goal=600,
        more_is_better=True,
        notes=f"{median(loads):.2f} ms of CPU each",
        details={"rates": rates},
    )


def _deliver_all(line: Line, address: str, cargoes: Sequence[bytes]) -> None:
    acknowledged: list[str] = []

    def deliver(share: Sequence[bytes]) -> None:
        with CogRPCClient(address, tls=False, timeout=_PATIENCE_SECONDS) as client:
            acknowledged.extend(client.deliver_cargo((str(number), cargo) for number, cargo in enumerate(share)))

    threads = [
        threading.Thread(target=deliver, args=(cargoes[number::_CALLS_AT_ONCE],)) for number in range(_CALLS_AT_ONCE)
    ]
    began_at = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line.say((len(acknowledged), time.perf_counter() - began_at))


def _measure_collection(
    surroundings: Surroundings,
    gateway: GatewayProcess,
    *,
    parcels: int,
    size: int,
    floor: float | None,
    goal: float | None,
) -> Figure:
    device = PrivateGateway.register(gateway)
    for _ in range(parcels):
        if deliver_pohttp(gateway, device.make_parcel(os.urandom(size)).serialized).status != 202:
            raise LoadError("A parcel was not accepted")
    durations, firsts, loads, cargoes = [], [], [], 0
    for _ in range(surroundings.choose(5, 1)):
        cpu = cpu_seconds(gateway.pid)
        with Apart(partial(_collect_all, address=gateway.cogrpc_address, cca=make_cca(device))) as courier:
            cargoes, octets, first, seconds = courier.line.hear()
        if octets < parcels * size:
            raise LoadError(f"Only {octets} octets came")
        loads.append(cpu_seconds(gateway.pid) - cpu)
        durations.append(seconds)
        firsts.append(first)
    return Figure(
        benchmark=NAME,
        name=f"CollectCargo, {parcels} parcels of {size / 1_000_000:.2g} MB",
        value=median(durations),
        unit="s",
        floor=floor,
        goal=goal,
        notes=f"{cargoes} cargoes, the first after {median(firsts):.2f} s; worst {max(durations):.2f} s; "
        f"{median(loads):.2f} s of CPU",
        details={"seconds": durations},
    )


def _collect_all(line: Line, address: str, cca: MadeMessage) -> None:
    cargoes = octets = 0
    first = 0.0
    began_at = time.perf_counter()
    with CogRPCClient(address, tls=False, timeout=_PATIENCE_SECONDS) as client:
        for cargo in client.collect_cargo(cca.serialized):
            cargo.acknowledge()
            first = first or time.perf_counter() - began_at
            cargoes += 1
            octets += len(cargo.cargo_serialized)
    line.say((cargoes, octets, first, time.perf_counter() - began_at))
