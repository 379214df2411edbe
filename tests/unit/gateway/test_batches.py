from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway import batches
from gateway.batches import delete_in_batches, move_in_batches
from gateway.group_commit import commit_together
from gateway.models import Peer
from tests.unit.gateway.factories import make_peer

pytestmark = pytest.mark.django_db


class Interrupted(Exception):  # noqa: N818 - it is none
    pass


class Time:
    def __init__(self, *, ends_after: int | None = None) -> None:
        self.checks = 0
        self._ends_after = ends_after

    def check(self) -> None:
        self.checks += 1
        if self.checks == self._ends_after:
            raise Interrupted


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_DELETED_ROWS", 2)
    monkeypatch.setattr(batches, "MAX_MOVED_ROWS", 2)


def suspend(peers: list[Peer]) -> int:
    return sum(peer.advance(Peer.State.SUSPENDED) for peer in peers)


def test_all_rows_are_deleted_a_few_at_a_time() -> None:
    kept = make_peer(state="suspended")
    for _ in range(5):
        make_peer()
    time = Time()

    assert delete_in_batches(Peer.objects.filter(state="active"), time.check) == 5

    assert Peer.objects.get() == kept
    assert time.checks == 3


def test_row_that_changes_before_its_turn_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    make_peer()
    active = Peer.objects.filter(state="active")

    def change_first(write: Callable[[], object]) -> object:
        Peer.objects.update(state="suspended")
        return commit_together(write)

    monkeypatch.setattr(batches, "commit_together", change_first)

    assert delete_in_batches(active, Time().check) == 0
    assert Peer.objects.count() == 1


def test_deletion_is_one_statement() -> None:
    """So that what it asks for still holds when the row goes."""
    make_peer()

    with CaptureQueriesContext(connection) as queries:
        delete_in_batches(Peer.objects.filter(state="active"), Time().check)

    deletions = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
    assert len(deletions) == 1
    assert "state" in deletions[0]


def test_all_rows_are_moved_a_few_at_a_time() -> None:
    for _ in range(5):
        make_peer()
    time = Time()

    assert move_in_batches(Peer.objects.filter(state="active"), suspend, time.check) == 5

    assert not Peer.objects.filter(state="active").exists()
    assert time.checks == 3


def test_rows_that_cannot_be_moved_end_it() -> None:
    make_peer()

    assert move_in_batches(Peer.objects.filter(state="active"), lambda _peers: 0, Time().check) == 0


def test_what_was_done_before_the_time_was_over_stays_done() -> None:
    for _ in range(5):
        make_peer()
    active = Peer.objects.filter(state="active")

    with pytest.raises(Interrupted):
        move_in_batches(active, suspend, Time(ends_after=2).check)

    assert active.count() == 1
    assert move_in_batches(active, suspend, Time().check) == 1
