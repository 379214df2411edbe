"""The gateway while its disk is full or read-only, or its database locked: nothing accepted is lost, and it heals."""

import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from awala.collection import SERVER_FAILED
from tests.functional.collector import CLOSE_UPON_COMPLETION, Collector, drain_queue, sha256_of
from tests.functional.exchange import Response, exchange
from tests.functional.gateway_process import GatewayProcess
from tests.functional.npm_clients import NpmClientError, NpmClients
from tests.functional.npm_nodes import NpmNodes, server_of
from tests.functional.private_gateway import (
    MadeParcel,
    PrivateGateway,
    complete_registration,
    deliver_pohttp,
    make_internet_parcel,
    pre_register,
)
from tests.functional.record import State, rows_of, state_of

pytestmark = pytest.mark.functional

Failure = Callable[[GatewayProcess], AbstractContextManager[None]]
Deliver = Callable[[PrivateGateway, MadeParcel], Response]

# Deployed clients wait 3 s (PoHTTP) or 5 s (PoWeb) for an answer, or 10 s; nobody waits longer than these.
PATIENCE_SECONDS = 10
_READ_ONLY = stat.S_IRUSR | stat.S_IXUSR


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose data folder the tests below spoil and mend."""
    wrapper: tuple[str, ...] = ()
    if os.geteuid() == 0:
        # Root, which may write wherever it pleases, must not: permissions are to hold for it too.
        refused = "-dac_override,-dac_read_search"
        wrapper = ("setpriv", f"--inh-caps={refused}", f"--bounding-set={refused}")
    with GatewayProcess(tmp_path_factory.mktemp("fragile") / "data", wrapper=wrapper) as process:
        yield process


@pytest.fixture
def peer(fragile: GatewayProcess) -> PrivateGateway:
    return PrivateGateway.register(fragile)


# ---------------------------------------------------------------- What may fail


@contextmanager
def file_sizes_limited(process: GatewayProcess, octets: int) -> Iterator[None]:
    """Every write beyond so many octets of a file fails, as on a full disk or over a quota; it needs no privileges."""
    soft, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (soft, hard))


def no_room_at_all(process: GatewayProcess) -> AbstractContextManager[None]:
    return file_sizes_limited(process, 0)


def no_room_for_rows(process: GatewayProcess) -> AbstractContextManager[None]:
    """A parcel's file fits; a transaction, which is several pages of 4 KiB, does not."""
    return file_sizes_limited(process, 6_000)


@contextmanager
def objects_read_only(process: GatewayProcess) -> Iterator[None]:
    root = process.data_dir / "objects"
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(_READ_ONLY)
    try:
        yield
    finally:
        for folder in folders:
            folder.chmod(stat.S_IRWXU)


@contextmanager
def objects_away(process: GatewayProcess) -> Iterator[None]:
    """A volume that is not mounted: a file stands where the folder should be."""
    root, aside = process.data_dir / "objects", process.data_dir / "aside"
    root.rename(aside)
    root.touch()
    try:
        yield
    finally:
        root.unlink()
        aside.rename(root)


@contextmanager
def database_locked(process: GatewayProcess) -> Iterator[None]:
    """Another program is writing, and does not come to an end."""
    with closing(sqlite3.connect(process.database_path, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield
        database.execute("ROLLBACK")


FAILURES: tuple[Failure, ...] = (no_room_at_all, no_room_for_rows, objects_read_only, objects_away, database_locked)


def over_pohttp(peer: PrivateGateway, parcel: MadeParcel) -> Response:
    return deliver_pohttp(peer.process, parcel.serialized)


def over_poweb(peer: PrivateGateway, parcel: MadeParcel) -> Response:
    return peer.deliver(parcel)


# ---------------------------------------------------------------- Taking parcels in


def assert_nothing_kept(failure: Failure, before: State, after: State) -> None:
    assert after.rows == before.rows
    # A commit that failed may yet have been carried out, so the file stays until a sweep finds no row that names it.
    allowed = 1 if failure is no_room_for_rows else 0
    assert len(set(after.objects) - set(before.objects)) <= allowed


@pytest.mark.parametrize("deliver", [over_pohttp, over_poweb])
@pytest.mark.parametrize("failure", FAILURES)
def test_parcel_is_refused_for_now(
    fragile: GatewayProcess, peer: PrivateGateway, failure: Failure, deliver: Deliver
) -> None:
    accepted, refused = peer.make_parcel(), peer.make_parcel()
    assert deliver(peer, accepted).status == 202
    before = state_of(fragile)

    with failure(fragile):
        started_at = time.monotonic()
        answer = deliver(peer, refused)
        seconds = time.monotonic() - started_at

    assert (answer.status, answer.headers["retry-after"], answer.headers["content-type"]) == (503, "30", "text/plain")
    # What failed is for the operator alone.
    assert answer.body == b"Temporarily unavailable; try again later"
    assert seconds < PATIENCE_SECONDS
    assert_nothing_kept(failure, before, state_of(fragile))
    # It heals by itself, and the sender's next attempt succeeds.
    assert deliver(peer, refused).status == 202
    assert sha256_of(drain_queue(fragile.collection_url, peer)) == [accepted.sha256, refused.sha256]


@pytest.mark.parametrize("failure", FAILURES)
def test_parcel_for_the_internet_is_refused_for_now(
    fragile: GatewayProcess, peer: PrivateGateway, failure: Failure
) -> None:
    outgoing = make_internet_parcel()
    before = state_of(fragile)

    with failure(fragile):
        assert peer.deliver(outgoing).status == 503
    assert_nothing_kept(failure, before, state_of(fragile))

    assert peer.deliver(outgoing).status == 202
    assert len(rows_of(fragile, "outgoingparcel", peer_id=peer.node_id)) == 1


def test_newer_version_that_is_refused_leaves_the_older_one(fragile: GatewayProcess, peer: PrivateGateway) -> None:
    older = peer.make_parcel(parcel_id="one")
    assert peer.deliver(older).status == 202

    for failure in FAILURES:
        with failure(fragile):
            assert peer.deliver(peer.make_parcel(parcel_id="one")).status == 503

    assert sha256_of(drain_queue(fragile.collection_url, peer)) == [older.sha256]


@pytest.mark.parametrize("deliver", [over_pohttp, over_poweb])
def test_only_what_is_too_large_for_the_disk_is_refused(
    fragile: GatewayProcess, peer: PrivateGateway, deliver: Deliver
) -> None:
    """Servers put large bodies into temporary files, which fail first."""
    large, small = peer.make_parcel(bytes(8_000_000)), peer.make_parcel()

    # SQLite's journal, of up to 4 MiB, fits.
    with file_sizes_limited(fragile, 6_000_000):
        answer = deliver(peer, large)
        assert (answer.status, answer.headers["retry-after"], answer.headers["content-type"]) == (
            503,
            "30",
            "text/plain",
        )
        assert deliver(peer, small).status == 202

    assert deliver(peer, large).status == 202
    assert sha256_of(drain_queue(fragile.collection_url, peer)) == [small.sha256, large.sha256]


@pytest.mark.parametrize("deliver", [over_pohttp, over_poweb])
def test_end_of_a_body_does_not_fit(fragile: GatewayProcess, peer: PrivateGateway, deliver: Deliver) -> None:
    """It waits in memory, and is written as the request is complete."""
    parcel = peer.make_parcel(bytes(1_000_000))

    with file_sizes_limited(fragile, len(parcel.serialized) - 100):
        assert deliver(peer, parcel).status == 503

    assert deliver(peer, parcel).status == 202


@pytest.mark.parametrize("failure", FAILURES)
def test_what_was_answered_202_amid_failures_is_there(
    fragile: GatewayProcess, peer: PrivateGateway, failure: Failure
) -> None:
    """Failing begins and ends while many senders are at it."""
    parcels = [peer.make_parcel() for _ in range(40)]

    def deliver(number: int) -> tuple[str, int]:
        return parcels[number].sha256, (over_poweb, over_pohttp)[number % 2](peer, parcels[number]).status

    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(deliver, number) for number in range(len(parcels))]
        answers[10].result()
        with failure(fragile):
            time.sleep(0.3)
        statuses = dict(answer.result() for answer in answers)

    accepted = {digest for digest, status in statuses.items() if status == 202}
    assert set(statuses.values()) <= {202, 503}
    assert accepted <= set(sha256_of(drain_queue(fragile.collection_url, peer)))


def test_many_senders_hear_of_a_locked_database_in_time(fragile: GatewayProcess, peer: PrivateGateway) -> None:
    """They wait for it side by side, not one after another."""
    parcels = [peer.make_parcel() for _ in range(8)]
    started_at = time.monotonic()

    with database_locked(fragile), ThreadPoolExecutor(len(parcels)) as threads:
        statuses = list(threads.map(lambda parcel: over_pohttp(peer, parcel).status, parcels))

    assert statuses == [503] * len(parcels)
    assert time.monotonic() - started_at < PATIENCE_SECONDS
    assert drain_queue(fragile.collection_url, peer) == []


def test_published_clients_keep_what_is_refused_for_now(fragile: GatewayProcess, npm: NpmClients) -> None:
    """ServerError and PoHTTPError stand for 'try again'; any 4xx would not."""
    nodes = NpmNodes.register(npm, fragile)
    parcel = nodes.make_parcel()

    with objects_read_only(fragile):
        with pytest.raises(NpmClientError) as over_poweb:
            npm.deliver_parcel_poweb(server_of(fragile), nodes.private_gateway, parcel.serialized)
        with pytest.raises(NpmClientError) as over_pohttp:
            npm.deliver_parcel_pohttp(fragile.pohttp_url, parcel.serialized)

    assert over_poweb.value.name == "ServerError"
    assert over_pohttp.value.name == "PoHTTPError"


# ---------------------------------------------------------------- Registration


@pytest.mark.parametrize("failure", [no_room_at_all, database_locked])
def test_registration_is_refused_for_now(fragile: GatewayProcess, failure: Failure) -> None:
    name = f"gateway that registers at a bad time: {failure.__name__}"
    authorization = pre_register(fragile, name).body
    before = state_of(fragile)

    with failure(fragile):
        answer = complete_registration(fragile, name, authorization)

    assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert state_of(fragile) == before
    # The authorisation has not been used up.
    assert complete_registration(fragile, name, authorization).status == 200


@pytest.mark.parametrize("failure", FAILURES)
def test_what_needs_no_writing_goes_on(fragile: GatewayProcess, failure: Failure) -> None:
    with failure(fragile):
        assert pre_register(fragile, "whoever").status == 200
        assert exchange("GET", f"{fragile.poweb_url}/connection-params.der").status == 200
        assert exchange("HEAD", f"{fragile.poweb_url}/").status == 200


# ---------------------------------------------------------------- Collection


def test_acknowledgement_that_cannot_be_recorded(fragile: GatewayProcess, peer: PrivateGateway) -> None:
    """The collection ends, since what the client believes settled is not; it will get the parcel again."""
    parcel = peer.make_parcel()
    assert peer.deliver(parcel).status == 202

    with Collector(fragile.collection_url, peer, mode=CLOSE_UPON_COMPLETION) as collector:
        delivery = collector.take()
        with database_locked(fragile):
            collector.acknowledge(delivery)
            assert collector.wait_until_closed() == (SERVER_FAILED.code, SERVER_FAILED.reason)

    assert sha256_of(drain_queue(fragile.collection_url, peer)) == [parcel.sha256]


@pytest.mark.parametrize("mode", ["keep-alive", CLOSE_UPON_COMPLETION])
def test_parcel_that_cannot_be_read(fragile: GatewayProcess, peer: PrivateGateway, mode: str) -> None:
    parcel = peer.make_parcel()
    assert peer.deliver(parcel).status == 202
    (path,) = [path for path in fragile.objects if path.parent.name == peer.node_id]

    with made_unreadable(path), Collector(fragile.collection_url, peer, mode=mode) as collector:
        assert collector.wait_until_closed() == (SERVER_FAILED.code, SERVER_FAILED.reason)

    assert sha256_of(drain_queue(fragile.collection_url, peer)) == [parcel.sha256]


@contextmanager
def made_unreadable(path: Path) -> Iterator[None]:
    path.chmod(0)
    try:
        yield
    finally:
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)


def test_collections_wait_out_a_full_disk(fragile: GatewayProcess, peer: PrivateGateway) -> None:
    """A parcel that is refused disturbs nobody who waits for others."""
    with Collector(fragile.collection_url, peer) as collector:
        with objects_read_only(fragile):
            assert peer.deliver(peer.make_parcel()).status == 503
        parcel = peer.make_parcel()
        assert peer.deliver(parcel).status == 202
        assert sha256_of(collector.collect(1)) == [parcel.sha256]


# ---------------------------------------------------------------- A file system that is full indeed


@pytest.fixture
def small_file_system(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for a few MiB, where this machine lets us make one."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("No file system can be mounted here; a limit on file sizes stands in for a full one above")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_file_system(small_file_system: Path) -> None:
    with GatewayProcess(small_file_system / "data") as process:
        peer = PrivateGateway.register(process)
        accepted: list[str] = []
        parcel = peer.make_parcel(bytes(200_000))
        while (answer := over_pohttp(peer, parcel)).status == 202:
            accepted.append(parcel.sha256)
            parcel = peer.make_parcel(bytes(200_000))
        assert (answer.status, answer.headers["retry-after"]) == (503, "30")
        # Less than another parcel and the room that is left to the record.
        assert shutil.disk_usage(small_file_system).free < 200_000 + 10_000 + 6 * 1024 * 1024 // 20

        # Collecting makes room again, although its own records need some.
        assert sha256_of(drain_queue(process.collection_url, peer)) == accepted
        assert over_pohttp(peer, parcel).status == 202
        assert sha256_of(drain_queue(process.collection_url, peer)) == [parcel.sha256]
        assert process.stop() == 0
