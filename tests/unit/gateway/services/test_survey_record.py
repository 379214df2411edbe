import threading
from collections.abc import Iterator
from datetime import datetime

import pytest
from django.utils import timezone

from gateway.errors import RecordUnavailableError
from gateway.services import survey_record as module
from gateway.services.survey_record import RecordSurvey, forget_survey, survey_record
from gateway.shared_call import SharedCall
from tests.unit.gateway.factories import make_peer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    forget_survey()
    yield
    forget_survey()


def test_empty_record_is_counted() -> None:
    survey = survey_record(timezone.now())
    assert (survey.queued.parcels, survey.queued.octets, survey.queued.oldest_at) == (0, 0, None)
    assert survey.certificate_expires_at is None


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
