import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from gateway.errors import RecordUnavailableError
from gateway.models import Destination, IncomingCargo, MaintenanceJob
from gateway.services import survey_record as module
from gateway.services.survey_record import (
    Backlog,
    DestinationSurvey,
    RecordSurvey,
    UpkeepSurvey,
    forget_survey,
    survey_record,
)
from gateway.shared_call import SharedCall
from tests.unit.gateway.factories import make_destination, make_incoming_cargo, make_peer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    forget_survey()
    yield
    forget_survey()


def test_empty_record_is_counted() -> None:
    survey = survey_record(timezone.now())
    assert (survey.queued.number, survey.queued.octets, survey.queued.oldest_at) == (0, 0, None)
    assert survey.certificate_expires_at is None


def test_cargo_is_counted() -> None:
    now = timezone.now()
    make_incoming_cargo(size=1_000, received_at=now - timedelta(hours=2))
    make_incoming_cargo(size=500, received_at=now)
    make_incoming_cargo(expires_at=now)
    make_incoming_cargo(state=IncomingCargo.State.UNWRAPPED)
    make_incoming_cargo(state=IncomingCargo.State.INVALID)

    survey = survey_record(now)

    assert survey.cargo == Backlog(number=2, octets=1_500, oldest_at=now - timedelta(hours=2))
    assert survey.invalid_cargo == 1


def test_destinations_in_trouble_are_counted() -> None:
    for state in Destination.State:
        make_destination(state=state)
    make_destination(is_paused=True)

    assert survey_record(timezone.now()).destinations == DestinationSurvey(in_trouble=2, paused=1)


def test_upkeep_is_surveyed() -> None:
    now = timezone.now()
    MaintenanceJob.objects.create(name="expiry", last_finished_at=now - timedelta(minutes=1), has_failed=True)
    MaintenanceJob.objects.create(name="renewal", last_finished_at=now - timedelta(hours=1))
    MaintenanceJob.objects.create(name="orphans")

    upkeep = survey_record(now).upkeep

    assert upkeep == UpkeepSurvey(finished_at=now - timedelta(minutes=1), failed_jobs=1)


def test_count_serves_for_a_while() -> None:
    assert survey_record(timezone.now()).peers == 0
    make_peer()
    assert survey_record(timezone.now()).peers == 0
    forget_survey()
    assert survey_record(timezone.now()).peers == 1


def test_slow_count_serves_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 19.0, 22.0, 22.0, 22.0])
    monkeypatch.setattr("gateway.services.survey_record.time.monotonic", lambda: next(clock))
    survey_record(timezone.now())
    make_peer()
    assert survey_record(timezone.now()).peers == 0
    assert survey_record(timezone.now()).peers == 1


def test_count_that_takes_too_long_serves_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()

    def survey_slowly(now: datetime) -> RecordSurvey:
        may_end.wait(10)
        return module._survey(now)  # noqa: SLF001

    call = SharedCall(survey_slowly)
    monkeypatch.setattr(module, "_CALL", call)
    with pytest.raises(RecordUnavailableError):
        survey_record(timezone.now(), limit_seconds=0.05)
    running = call.start(timezone.now())
    may_end.set()
    assert survey_record(timezone.now()) == running.result()
