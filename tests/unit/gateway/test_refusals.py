import logging
import uuid
from typing import Any

import pytest
from django.db import OperationalError
from prometheus_client import REGISTRY

from gateway import refusals
from gateway.models import Event
from gateway.refusals import Allowance, make_allowances, note_refusal
from tests.unit.gateway.factories import make_node_id

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def new_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "_allowances", make_allowances(2))


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


def test_strangers_do_not_hide_what_known_peers_do() -> None:
    peer_id = make_node_id()
    for _ in range(5):
        note_refusal(Event.Kind.CARGO_REFUSED, "junk")

    note_refusal(Event.Kind.CARGO_REFUSED, "why", peer_id=peer_id)
    note_refusal(Event.Kind.COLLECTION_REFUSED, "why")

    events = Event.objects.exclude(detail="junk").values_list("kind", "peer_id")
    assert set(events) == {("cargo_refused", peer_id), ("collection_refused", "")}


def test_refusals_beyond_the_allowance_are_summed_up_in_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 0.0
    key = (Event.Kind.CARGO_REFUSED, False)
    monkeypatch.setattr(refusals, "_allowances", {key: Allowance(2, clock=lambda: now)})
    for _ in range(5):
        note_refusal(Event.Kind.CARGO_REFUSED, "why")
    lines = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert len(lines) == 2

    now = 60.0
    for _ in range(2):
        note_refusal(Event.Kind.CARGO_REFUSED, "why")

    messages: list[Any] = [record.msg for record in caplog.records]
    summaries = [line for line in messages if line["event"] == "refusals_left_out"]
    assert [(line["kind"], line["is_peer_known"], line["number"]) for line in summaries] == [
        ("cargo_refused", False, 3)
    ]


def test_allowance_is_renewed_each_minute() -> None:
    now = 0.0
    allowance = Allowance(2, clock=lambda: now)

    assert [allowance.take() for _ in range(4)] == [(True, 0), (True, 0), (False, 0), (False, 0)]
    now = 59.9
    assert allowance.take() == (False, 0)
    now = 60.0
    assert allowance.take() == (True, 3)
    assert allowance.take() == (True, 0)
