import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import zip_longest

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Model

from gateway.group_commit import GroupCommit
from gateway.models import Peer, SpentAuthorization
from tests.unit.gateway.factories import make_node_id, make_peer

SECONDS = 5


@pytest.fixture
def group() -> GroupCommit:
    return GroupCommit()


def run_together(group: GroupCommit, *writes: Callable[[], object], rows: Sequence[Model] = ()) -> list[object]:
    """The results, or errors, of work that waited while other work was being done, so that it forms one group.

    The first piece of work comes with the first row, and so on.
    """
    is_busy, may_go_on = threading.Event(), threading.Event()

    def occupy() -> None:
        is_busy.set()
        assert may_go_on.wait(SECONDS)

    def run(write: Callable[[], object], *own_rows: Model) -> object:
        try:
            return group.run(write, *own_rows)
        except Exception as error:  # noqa: BLE001 - the outcome that a test looks at
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(writes) + 1) as threads:
        first = threads.submit(run, occupy)
        assert is_busy.wait(SECONDS)
        answers = [
            threads.submit(run, write) if row is None else threads.submit(run, write, row)
            for write, row in zip_longest(writes, rows)
        ]
        while len(group._waiting) < len(writes):  # noqa: SLF001 - nobody else can tell that all have come
            threading.Event().wait(0.01)
        may_go_on.set()
        assert first.result(SECONDS) is None
        return [answer.result(SECONDS) for answer in answers]


@pytest.mark.django_db(transaction=True)
def test_work_alone_is_committed(group: GroupCommit) -> None:
    peer = group.run(make_peer)

    assert Peer.objects.get() == peer


@pytest.mark.django_db(transaction=True)
def test_work_in_a_transaction_keeps_to_it(group: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    with transaction.atomic():
        monkeypatch.setattr(transaction, "atomic", None)
        assert group.run(lambda: "result") == "result"
        monkeypatch.undo()


@pytest.mark.django_db(transaction=True)
def test_work_that_waits_shares_one_transaction(group: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = count_transactions(monkeypatch)

    run_together(group, make_peer, make_peer, make_peer)

    assert Peer.objects.count() == 3
    assert len(begun) == 2


def spent(digit: str) -> SpentAuthorization:
    return SpentAuthorization(nonce_sha256=digit * 64, expires_at=datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.django_db(transaction=True)
def test_rows_of_a_group_are_inserted_by_one_statement(group: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    inserted: list[int] = []
    bulk_create = SpentAuthorization.objects.bulk_create

    def count(rows: list[SpentAuthorization]) -> list[SpentAuthorization]:
        inserted.append(len(rows))
        return bulk_create(rows)

    monkeypatch.setattr(SpentAuthorization.objects, "bulk_create", count)

    run_together(group, *[lambda: None] * 3, rows=[spent("a"), spent("b"), spent("c")])

    assert inserted == [3]
    assert SpentAuthorization.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_row_that_exists_harms_no_other(group: GroupCommit) -> None:
    spent("b").save()

    good, bad, other = run_together(
        group, lambda: "good", lambda: "bad", lambda: "other", rows=[spent("a"), spent("b"), spent("c")]
    )

    assert (good, other) == ("good", "other")
    assert isinstance(bad, IntegrityError)
    assert SpentAuthorization.objects.count() == 3


@pytest.mark.django_db
def test_rows_in_a_transaction_keep_to_it(group: GroupCommit) -> None:
    with transaction.atomic():
        group.run(lambda: None, spent("a"))

        assert SpentAuthorization.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_work_that_fails_harms_no_other(group: GroupCommit) -> None:
    node_id = make_node_id()
    make_peer(node_id=node_id)

    good, bad, other = run_together(group, make_peer, lambda: make_peer(node_id=node_id), make_peer)

    assert isinstance(bad, IntegrityError)
    assert {peer.node_id for peer in Peer.objects.all()} == {node_id, *(p.node_id for p in (good, other))}  # type: ignore[attr-defined]


def test_those_who_wait_for_a_locked_database_fail_together(
    group: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One after another, they would hear of it long after their clients have gone."""
    attempts: list[None] = []
    nobody_waits = threading.Event()

    def fail_to_begin() -> None:
        attempts.append(None)
        assert nobody_waits.wait(SECONDS)
        raise OperationalError("database is locked")

    monkeypatch.setattr(transaction, "atomic", fail_to_begin)

    def run() -> None:
        with pytest.raises(OperationalError):
            group.run(lambda: None)

    with ThreadPoolExecutor(3) as threads:
        answers = [threads.submit(run) for _ in range(3)]
        while len(attempts) + len(group._waiting) < 3:  # noqa: SLF001 - as above
            threading.Event().wait(0.01)
        nobody_waits.set()
        for answer in answers:
            answer.result(SECONDS)

    assert len(attempts) == 1


@pytest.mark.django_db(transaction=True)
def test_database_that_locks_after_a_group_failed(group: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = count_transactions(monkeypatch, allowed=2)

    def fail() -> None:
        raise ValueError

    outcomes = run_together(group, make_peer, fail, make_peer)

    assert [type(outcome) for outcome in outcomes] == [OperationalError] * 3
    assert len(begun) == 3
    assert not Peer.objects.exists()


def count_transactions(monkeypatch: pytest.MonkeyPatch, allowed: int = 100) -> list[None]:
    begun: list[None] = []
    original = transaction.atomic

    @contextmanager
    def atomic() -> Iterator[None]:
        begun.append(None)
        if len(begun) > allowed:
            raise OperationalError("database is locked")
        with original():
            yield

    monkeypatch.setattr(transaction, "atomic", atomic)
    return begun
