"""Cargo unwrapped by one worker process: parcels taken out, verified, and durable before their cargo is settled."""

import itertools
import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from awala.pki import issuance
from awala.pki.certificate import Certificate
from awala.session_key import SessionKey, generate_session_key
from benchmarks.apart import Apart, Line
from benchmarks.figures import Figure
from benchmarks.population import make_parcel
from benchmarks.postgresql import PostgreSQLMissingError, run_postgresql
from benchmarks.processes import tree_cpu_seconds
from benchmarks.samples import median, spread
from benchmarks.surroundings import Surroundings
from tests import cargo_factories, factories
from tests.functional.gateway_process import set_up
from tests.functional.private_gateway import in_whole_seconds

NAME = "unwrap"
_PAYLOAD_SIZE = 1024
_PARCELS_PER_CARGO = 200
_SENDERS = 10


@dataclass(frozen=True, kw_only=True)
class _Task:
    """What the process is to do, on a gateway that was set up."""

    environment: dict[str, str]
    log: Path
    rounds: int
    cargoes: int
    database_pid: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Round:
    kind: str
    parcels: int
    seconds: float
    cpu_seconds: float
    database_cpu_seconds: float
    threads: int


def run(surroundings: Surroundings) -> list[Figure]:
    figures = _measure("SQLite", surroundings, {})
    with ExitStack() as stack:
        try:
            postgresql = stack.enter_context(run_postgresql(surroundings.folder))
        except PostgreSQLMissingError as error:
            print(f"LEFT OUT: unwrapping with PostgreSQL ({error})")
            return figures
        environment = {"DATABASE_URL": postgresql.url, "INTERNET_ADDRESS": "gateway.example.com"}
        return figures + _measure("PostgreSQL", surroundings, environment, database_pid=postgresql.pid)


def _measure(
    name: str, surroundings: Surroundings, environment: dict[str, str], *, database_pid: int | None = None
) -> list[Figure]:
    data_dir = surroundings.folder / f"unwrapping-{name.lower()}"
    set_up(data_dir, **environment)
    task = _Task(
        environment=environment | {"GATEWAY_DATA_DIR": str(data_dir)},
        log=data_dir / "worker.log",
        rounds=surroundings.choose(5, 1),
        cargoes=surroundings.choose(10, 4),
        database_pid=database_pid,
    )
    with Apart(partial(_work, task)) as worker:
        rounds: list[_Round] = worker.line.hear(timeout=600)
    kinds = dict.fromkeys(each.kind for each in rounds)
    return [_report(name, kind, [each for each in rounds if each.kind == kind]) for kind in kinds]


def _report(database: str, kind: str, rounds: Sequence[_Round]) -> Figure:
    rates = [each.parcels / each.seconds for each in rounds]
    cpu_ms = median([each.cpu_seconds * 1000 / each.parcels for each in rounds])
    database_ms = median([each.database_cpu_seconds * 1000 / each.parcels for each in rounds])
    of_database = f" + {database_ms:.2f} database" if database_ms else ""
    return Figure(
        benchmark=f"{NAME}: {database}",
        name=f"{kind}, 1 KiB, {_PARCELS_PER_CARGO} per cargo",
        value=median(rates),
        unit="parcels/s",
        floor=250,
        goal=500,
        more_is_better=True,
        notes=f"{spread(rates)}; {rounds[0].threads} threads; CPU {cpu_ms:.2f} ms{of_database}",
        details={"parcels_per_second": rates, "cpu_ms_per_parcel": cpu_ms, "database_cpu_ms_per_parcel": database_ms},
    )


# ---------------------------------------------------------------- In the process of the worker


def _work(task: _Task, line: Line) -> None:
    _become_worker(task)
    sneakernet = _Sneakernet()
    measured = []
    from django.conf import settings  # noqa: PLC0415 - settings are read here, for this process alone

    threads: int = settings.UNWRAPPING_THREADS
    # One pool for all: threads of workers live long, and so do their connections.
    with ThreadPoolExecutor(threads) as pool:
        for number in range(task.rounds + 1):
            for kind, make in sneakernet.kinds.items():
                cargo_ids = [sneakernet.bring(make) for _ in range(task.cargoes)]
                seconds, cpu, of_database = _unwrap(cargo_ids, pool, task.database_pid)
                parcels = len(cargo_ids) * _PARCELS_PER_CARGO
                if number:  # The first round lets every thread connect and every sender be seen.
                    measured.append(
                        _Round(
                            kind=kind,
                            parcels=parcels,
                            seconds=seconds,
                            cpu_seconds=cpu,
                            database_cpu_seconds=of_database,
                            threads=threads,
                        )
                    )
    line.say(measured)


def _become_worker(task: _Task) -> None:
    """Turn the child of a fork into a process of the gateway, with a log of its own as servers have."""
    import django  # noqa: PLC0415 - only this process has settings

    with task.log.open("wb") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    os.environ.update(task.environment, DJANGO_SETTINGS_MODULE="gateway.settings", LOG_FORMAT="json")
    django.setup()


def _unwrap(
    cargo_ids: Sequence[uuid.UUID], pool: ThreadPoolExecutor, database_pid: int | None
) -> tuple[float, float, float]:
    """Seconds on the clock, of this process and of the database."""
    from gateway.models import IncomingCargo  # noqa: PLC0415
    from gateway.services.unwrap_cargo import unwrap_cargo  # noqa: PLC0415

    def database_cpu() -> float:
        return tree_cpu_seconds(database_pid) if database_pid else 0.0

    database_before, cpu_before, began_at = database_cpu(), time.process_time(), time.perf_counter()
    list(pool.map(unwrap_cargo, cargo_ids))
    seconds, cpu = time.perf_counter() - began_at, time.process_time() - cpu_before
    rows = list(IncomingCargo.objects.filter(pk__in=cargo_ids))
    if any(row.state != IncomingCargo.State.UNWRAPPED or row.parcels != _PARCELS_PER_CARGO for row in rows):
        raise RuntimeError(f"Not every parcel was taken out: {[(row.state, row.last_error) for row in rows]}")
    return seconds, cpu, database_cpu() - database_before


class _Sneakernet:
    """A private gateway that sends cargo, and senders behind it."""

    def __init__(self) -> None:
        from gateway.keystores import get_keystore  # noqa: PLC0415
        from gateway.services.load_identity import load_identity  # noqa: PLC0415

        identity = load_identity(datetime.now(UTC))
        self._gateway = identity.issuer_certificate

        def certify(owner: str) -> Certificate:
            return issuance.issue_gateway_certificate(
                subject_public_key=factories.rsa_key(owner).public_key(),
                issuer_private_key=identity.private_key,
                issuer_certificate=self._gateway,
                not_before=self._gateway.not_before,
                not_after=self._gateway.not_after,
                serial_number=1,
            )

        self._sender = certify("peer 0")
        self._session_key = _make_session_key(get_keystore().save_session_key, identity.node_id)
        recipients = itertools.cycle([_authorize(certify(f"peer {number}"), number) for number in range(_SENDERS)])
        names = itertools.cycle([f"sender {number}" for number in range(_SENDERS)])
        self.kinds: dict[str, Iterator[bytes]] = {
            "for the Internet": map(_make_internet_parcel, names),
            "for devices": (make_parcel(chain, _PAYLOAD_SIZE) for chain in recipients),
        }

    def bring(self, parcels: Iterator[bytes]) -> uuid.UUID:
        """Accept a cargo with the next parcels, as if from a courier; returns its row's id."""
        from gateway.models import IncomingCargo  # noqa: PLC0415
        from gateway.services.receive_cargo import receive_cargo  # noqa: PLC0415

        cargo = cargo_factories.make_cargo(
            tuple(itertools.islice(parcels, _PARCELS_PER_CARGO)),
            sender=self._sender,
            gateway=self._gateway,
            session_key=self._session_key,
            creation_date=in_whole_seconds(timedelta(minutes=-90)),
        )
        now = datetime.now(UTC)
        receive_cargo(cargo.serialized, now)
        return IncomingCargo.objects.get(received_at=now).id


def _make_session_key(save: Callable[..., None], node_id: str) -> SessionKey:
    key, private_key = generate_session_key()
    save(key.key_id, private_key, node_id)
    return key


def _authorize(private_gateway: Certificate, number: int) -> factories.Chain:
    end = private_gateway.not_after
    endpoint = factories.endpoint_certificate(f"endpoint {number}", issuer=private_gateway, not_after=end)
    return factories.Chain(
        gateway=private_gateway,
        private_gateway=private_gateway,
        endpoint=endpoint,
        authorization=factories.delivery_authorization(f"sender {number}", issuer=endpoint, not_after=end),
    )


def _make_internet_parcel(sender: str) -> bytes:
    parcel = factories.internet_parcel(
        sender,
        message_id=str(uuid.uuid4()),
        creation_date=in_whole_seconds(timedelta(minutes=-1)),
        ttl_seconds=86_400,
        payload=os.urandom(_PAYLOAD_SIZE),
    )
    return factories.serialized(parcel)
