"""Delivery to Internet addresses: how many parcels a worker delivers, and whether a dead address slows the others."""

import base64
import hashlib
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

from awala.ramf import Recipient
from benchmarks.endpoint import Arrival, Endpoint
from benchmarks.figures import Figure
from benchmarks.http_load import run_load
from benchmarks.population import make_head
from benchmarks.postgresql import PostgreSQLMissingError
from benchmarks.processes import cpu_seconds
from benchmarks.samples import percentile
from benchmarks.surroundings import Surroundings
from tests import factories
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway, in_whole_seconds
from tests.functional.redis_server import RedisMissingError

NAME = "deliver"
_FAST, _DEAD = "fast.example.com", "dead.example.com"
_WAITING_FOR_DEAD = 10_000
_PER_SECOND = 25
_PATIENCE_SECONDS = 120.0

# Rows and objects as intake leaves them, made where the models are.
_FILL = """
import os, uuid
from datetime import timedelta
from django.utils import timezone
from gateway.models import OutgoingParcel
from gateway.storage import store_object
now = timezone.now()
shared = OutgoingParcel.make_object_key()
store_object(shared, os.urandom(1400))
rows = []
for number in range({number}):
    key = shared
    if {has_objects}:
        key = OutgoingParcel.make_object_key()
        store_object(key, os.urandom(1400))
    ids = dict(peer_id="0" * 65, recipient_id="0" * 65, sender_id="0" * 65, parcel_id_sha256="0" * 64)
    rows.append(OutgoingParcel(destination="{destination}", object_key=key, size=1400, received_at=now, **ids,
                               next_attempt_at=now, expires_at=now + timedelta(days=1), state="{state}"))
OutgoingParcel.objects.bulk_create(rows, batch_size=500)
"""
_MOVE = """
from gateway.models import OutgoingParcel
OutgoingParcel.objects.filter(destination="{destination}", state="{old}").update(state="{new}")
"""


def run(surroundings: Surroundings) -> list[Figure]:
    figures = []
    with ExitStack() as stack:
        endpoint = stack.enter_context(Endpoint())
        try:
            worker = stack.enter_context(surroundings.worker_alone(_FAST, endpoint.port))
        except (PostgreSQLMissingError, RedisMissingError) as error:
            print(f"LEFT OUT: deliveries of a worker by itself ({error})")
        else:
            figures.append(_deliver_backlog(worker, endpoint, surroundings.choose(3_000, 300)))
    figures.extend(_deliver_beside_the_dead(surroundings))
    return figures


# ---------------------------------------------------------------- a backlog


def _deliver_backlog(worker: GatewayProcess, endpoint: Endpoint, number: int) -> Figure:
    worker.manage("shell", "-c", _FILL.format(number=number, has_objects=True, destination=_FAST, state="pending"))
    cpu_before = cpu_seconds(worker.pid) if worker.is_running else 0.0
    worker.start(wait=False)
    arrivals = _await_arrivals(endpoint, number)
    seconds = arrivals[-1].at - arrivals[0].at
    cpu = (cpu_seconds(worker.pid) - cpu_before) * 1000 / number
    rate = (number - 1) / seconds
    return Figure(
        benchmark=f"{NAME}: worker + PostgreSQL + Redis",
        name="1 KiB, one destination",
        value=rate,
        unit="parcels/s",
        floor=150,
        goal=300,
        more_is_better=True,
        notes=f"{number} parcels in {seconds:.1f} s; CPU {cpu:.2f} ms each, start included",
        details={"parcels": number, "seconds": seconds, "worker_cpu_ms_per_parcel": cpu},
    )


def _await_arrivals(endpoint: Endpoint, number: int) -> list[Arrival]:
    arrivals: list[Arrival] = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while len(arrivals) < number:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(arrivals)} of {number} parcels were delivered in {_PATIENCE_SECONDS} s")
        time.sleep(0.1)
        arrivals += endpoint.take_arrivals()
    return arrivals


# ---------------------------------------------------------------- beside a dead destination


@dataclass(frozen=True, kw_only=True)
class _Round:
    without_ms: list[float]
    with_ms: list[float]


def _deliver_beside_the_dead(surroundings: Surroundings) -> list[Figure]:
    """Rounds of both kinds in turn: the machine drifts within minutes."""
    samples = surroundings.choose(250, 50)
    with (
        Endpoint() as endpoint,
        Endpoint(is_mute=True) as dead,
        surroundings.all_in_one(
            POHTTP_USE_TLS="false",
            INTERNET_ADDRESS_OVERRIDES=f"{_FAST}=127.0.0.1:{endpoint.port},{_DEAD}=127.0.0.1:{dead.port}",
        ) as gateway,
    ):
        peer = PrivateGateway.register(gateway)
        gateway.manage(
            *("shell", "-c"),
            _FILL.format(number=_WAITING_FOR_DEAD, has_objects=False, destination=_DEAD, state="held"),
        )
        _send(gateway, endpoint, peer, 50)  # A first time, to warm up.
        rounds = [_measure(gateway, endpoint, peer, samples) for _ in range(surroundings.choose(3, 1))]
    return [_report(rounds)]


def _measure(gateway: GatewayProcess, endpoint: Endpoint, peer: PrivateGateway, samples: int) -> _Round:
    without = _send(gateway, endpoint, peer, samples)
    gateway.manage("shell", "-c", _MOVE.format(destination=_DEAD, old="held", new="pending"))
    time.sleep(12)  # Until the sweep has found it and the first attempts hang.
    beside = _send(gateway, endpoint, peer, samples)
    gateway.manage("shell", "-c", _MOVE.format(destination=_DEAD, old="pending", new="held"))
    return _Round(without_ms=without, with_ms=beside)


def _send(gateway: GatewayProcess, endpoint: Endpoint, peer: PrivateGateway, number: int) -> list[float]:
    """Send parcels at a steady rate; how long each took from the start of its request to its destination, in ms."""
    parcels = [_make_parcel() for _ in range(number)]
    requests = [_make_request(peer, parcel) for parcel in parcels]
    load = run_load(gateway.ports.poweb, requests, connections=1, per_second=_PER_SECOND)
    with load as generator:
        generator.line.hear()
        began_at = time.monotonic()
        generator.line.say()
        generator.line.hear().check()
    arrived_at = {arrival.sha256: arrival.at for arrival in _await_arrivals(endpoint, number)}
    return [
        (arrived_at[hashlib.sha256(parcel).hexdigest()] - began_at - place / _PER_SECOND) * 1000
        for place, parcel in enumerate(parcels)
    ]


def _make_parcel() -> bytes:
    recipient = Recipient(id=factories.id_of("internet endpoint"), internet_address=_FAST)
    created = in_whole_seconds(timedelta(minutes=-1))
    parcel = factories.internet_parcel(
        recipient=recipient, message_id=str(uuid.uuid4()), creation_date=created, ttl_seconds=86_400
    )
    return factories.serialized(parcel)


def _make_request(peer: PrivateGateway, parcel: bytes) -> bytes:
    countersignature = base64.b64encode(peer.countersign(parcel)).decode()
    authorization = f"Relaynet-Countersignature {countersignature}"
    return make_head("/v1/parcels", len(parcel), Authorization=authorization) + parcel


def _report(rounds: Sequence[_Round]) -> Figure:
    without = [latency for one in rounds for latency in one.without_ms]
    beside = [latency for one in rounds for latency in one.with_ms]
    change = percentile(beside, 99) / percentile(without, 99) - 1
    return Figure(
        benchmark=f"{NAME}: all in one",
        name="p99 beside a dead destination, change",
        value=change * 100,
        unit="%",
        floor=10,
        notes=(
            f"{_WAITING_FOR_DEAD:,} parcels wait for the dead one; p99 {percentile(without, 99):.1f} ms without, "
            f"{percentile(beside, 99):.1f} ms with; p50 {percentile(without, 50):.1f} and {percentile(beside, 50):.1f} "
            f"ms; {len(beside)} samples of each"
        ),
        details={
            f"{name}_p{percent}_ms": percentile(values, percent)
            for name, values in (("without", without), ("with", beside))
            for percent in (50, 95, 99)
        },
    )
