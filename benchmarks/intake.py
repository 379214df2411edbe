"""PoHTTP intake: parcels from many senders over keep-alive connections, each durable before it is answered."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.figures import Figure
from benchmarks.http_load import LoadResult, run_load
from benchmarks.population import Population, make_requests
from benchmarks.postgresql import PostgreSQLMissingError
from benchmarks.processes import cpu_seconds, tree_cpu_seconds
from benchmarks.samples import median, percentile, spread
from benchmarks.surroundings import Surroundings
from tests.functional.gateway_process import GatewayProcess

NAME = "intake"
_KIB = 1024


@dataclass(frozen=True, kw_only=True)
class _Case:
    payload_size: int
    connections: int
    new_senders: bool = False

    @property
    def name(self) -> str:
        senders = ", every sender new" if self.new_senders else ""
        return f"{self.payload_size // _KIB} KiB, {self.connections} connections{senders}"


_CASES = (
    _Case(payload_size=_KIB, connections=8),
    _Case(payload_size=_KIB, connections=16),
    _Case(payload_size=_KIB, connections=32),
    _Case(payload_size=_KIB, connections=16, new_senders=True),
    _Case(payload_size=100 * _KIB, connections=8),
    _Case(payload_size=100 * _KIB, connections=16),
    _Case(payload_size=100 * _KIB, connections=32),
)


@dataclass(frozen=True, kw_only=True)
class _Mode:
    name: str
    gateway: GatewayProcess
    population: Population
    floor: float
    goal: float
    database_cpu: Callable[[], float] = lambda: 0.0


@dataclass(frozen=True, kw_only=True)
class _Round:
    load: LoadResult
    server_ms: float
    """CPU per parcel."""
    database_ms: float


@dataclass(kw_only=True)
class _Measured:
    mode: _Mode
    case: _Case
    rounds: list[_Round] = field(default_factory=list)


def run(surroundings: Surroundings) -> list[Figure]:
    with ExitStack() as stack:
        modes = _start(surroundings, stack)
        measured = [_Measured(mode=mode, case=case) for mode in modes for case in _CASES]
        for one in modes:
            _warm_up(one)
        # Interleaved: the machine drifts within minutes, and must do so for all alike.
        for _ in range(surroundings.choose(3, 1)):
            for case in _CASES:
                for mode in modes:
                    target = next(each for each in measured if each.mode is mode and each.case is case)
                    target.rounds.append(_measure(mode, case, _count(surroundings, case)))
    return [_report(each) for each in measured]


def _start(surroundings: Surroundings, stack: ExitStack) -> list[_Mode]:
    gateway = stack.enter_context(surroundings.all_in_one())
    modes = [_Mode(name="all in one", gateway=gateway, population=Population.register(gateway), floor=200, goal=400)]
    try:
        pohttp, poweb, postgresql = stack.enter_context(surroundings.pohttp_alone())
    except PostgreSQLMissingError as error:
        print(f"LEFT OUT: intake with PostgreSQL ({error})")
        return modes
    modes.append(
        _Mode(
            name="PoHTTP + PostgreSQL",
            gateway=pohttp,
            population=Population.register(poweb),
            floor=400,
            goal=800,
            database_cpu=lambda: tree_cpu_seconds(postgresql.pid),
        )
    )
    return modes


def _count(surroundings: Surroundings, case: _Case) -> int:
    return surroundings.choose(1_500, 300) if case.payload_size == _KIB else surroundings.choose(400, 100)


def _warm_up(mode: _Mode) -> None:
    """Let every sender be seen and every thread connect to the database."""
    _post(mode, mode.population.make_parcels(len(mode.population.chains) * 2, _KIB), connections=16)


def _measure(mode: _Mode, case: _Case, number: int) -> _Round:
    parcels = mode.population.make_parcels(number, case.payload_size, new_senders=case.new_senders)
    return _post(mode, parcels, connections=case.connections)


def _post(mode: _Mode, parcels: Sequence[bytes], *, connections: int) -> _Round:
    with run_load(mode.gateway.ports.pohttp, make_requests(parcels), connections=connections) as generator:
        generator.line.hear()
        server_before, database_before = cpu_seconds(mode.gateway.pid), mode.database_cpu()
        generator.line.say()
        load: LoadResult = generator.line.hear()
        server_after, database_after = cpu_seconds(mode.gateway.pid), mode.database_cpu()
    load.check()
    return _Round(
        load=load,
        server_ms=(server_after - server_before) * 1000 / len(parcels),
        database_ms=(database_after - database_before) * 1000 / len(parcels),
    )


def _report(measured: _Measured) -> Figure:
    mode, case, rounds = measured.mode, measured.case, measured.rounds
    rates = [one.load.per_second for one in rounds]
    latencies = [latency for one in rounds for latency in one.load.latencies_ms]
    details = {
        "parcels_per_second": rates,
        "p50_ms": percentile(latencies, 50),
        "p99_ms": percentile(latencies, 99),
        "server_cpu_ms_per_parcel": median([one.server_ms for one in rounds]),
        "database_cpu_ms_per_parcel": median([one.database_ms for one in rounds]),
        "generator_cores": median([one.load.cores_used for one in rounds]),
    }
    database = (
        f" + {details['database_cpu_ms_per_parcel']:.2f} database" if details["database_cpu_ms_per_parcel"] else ""
    )
    has_mark = case.payload_size == _KIB
    return Figure(
        benchmark=f"{NAME}: {mode.name}",
        name=case.name,
        value=median(rates),
        unit="parcels/s",
        floor=mode.floor if has_mark else None,
        goal=mode.goal if has_mark else None,
        more_is_better=True,
        notes=(
            f"{spread(rates)}; p50 {details['p50_ms']:.1f}, p99 {details['p99_ms']:.1f} ms; "
            f"CPU {details['server_cpu_ms_per_parcel']:.2f} ms{database}; generator {details['generator_cores']:.0%}"
        ),
        details=details,
    )
