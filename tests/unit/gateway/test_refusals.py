import uuid
from typing import Any

import pytest
from django.db import OperationalError
from prometheus_client import REGISTRY

from gateway import refusals
from gateway.models import Event
from gateway.refusals import Allowance, note_refusal
from tests.unit.gateway.factories import make_node_id

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def new_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_EVENTS", Allowance(2))


def count() -> float:
    return REGISTRY.get_sample_value("gateway_refusals_total", {"kind": "cargo_refused"}) or 0


def test_refusal_is_an_event() -> None:
    peer_id, subject_id = make_node_id(), uuid.uuid4()

    note_refusal(Event.Kind.CARGO_REFUSED, "Message has expired", peer_id=peer_id, subject_id=subject_id)

    event = Event.objects.get()
    assert (event.kind, event.detail) == (Event.Kind.CARGO_REFUSED, "Message has expired")
    assert (event.peer_id, event.subject_id) == (peer_id, subject_id)


def test_reason_of_any_length_is_kept_in_part() -> None:
    note_refusal(Event.Kind.CARGO_REFUSED, "x" * 1_000)

    assert Event.objects.get().detail == "x" * 255


def test_too_many_refusals_are_counted_only() -> None:
    before = count()

    for _ in range(5):
        note_refusal(Event.Kind.CARGO_REFUSED, "why")

    assert Event.objects.count() == 2
    assert count() - before == 5


@pytest.mark.parametrize("error", [OperationalError("gone"), ValueError("whatever")])
def test_refusal_that_cannot_be_noted_harms_nothing(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(refusals, "commit_together", fail)

    note_refusal(Event.Kind.CARGO_REFUSED, "why")

    assert not Event.objects.exists()


def test_allowance_is_renewed_each_minute() -> None:
    now = 0.0
    allowance = Allowance(2, clock=lambda: now)

    assert [allowance.take() for _ in range(3)] == [True, True, False]
    now = 59.9
    assert not allowance.take()
    now = 60.0
    assert allowance.take()
