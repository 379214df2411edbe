from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from awala.clients.errors import InvalidAnswerError, ServerUnavailableError
from awala.clients.http import Answer, follow_redirects


def make_answer(status: int, *, retry_after: str | None = None, location: str | None = None) -> Answer:
    return Answer(status=status, content_type="", location=location, retry_after=retry_after, body=b"")


class TestRetryAfter:
    @pytest.mark.parametrize("status", [429, 503])
    @pytest.mark.parametrize(("value", "seconds"), [("120", 120), (" 0 ", 0), ("3601", 3_600), ("9" * 5_000, 3_600)])
    def test_in_seconds(self, status: int, value: str, seconds: float) -> None:
        assert make_answer(status, retry_after=value).retry_after_seconds == seconds

    @pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-3))])
    def test_as_a_date(self, zone: timezone) -> None:
        date = format_datetime(datetime.now(zone) + timedelta(minutes=10), usegmt=zone is UTC)
        assert make_answer(503, retry_after=date).retry_after_seconds == pytest.approx(600, abs=5)

    def test_as_a_date_without_zone(self) -> None:
        date = (datetime.now(UTC) + timedelta(minutes=10)).strftime("%a, %d %b %Y %H:%M:%S -0000")
        assert make_answer(503, retry_after=date).retry_after_seconds == pytest.approx(600, abs=5)

    def test_as_a_date_that_has_passed(self) -> None:
        assert make_answer(503, retry_after="Fri, 31 Dec 1999 23:59:59 GMT").retry_after_seconds == 0

    @pytest.mark.parametrize("value", [None, "", "soon", "-1", "1.5", "٣", "Fri, 99 Dec 1999 23:59:59 GMT"])
    def test_without_meaning(self, value: str | None) -> None:
        assert make_answer(503, retry_after=value).retry_after_seconds is None

    @pytest.mark.parametrize("status", [202, 403, 500])
    def test_of_another_status(self, status: int) -> None:
        assert make_answer(status, retry_after="120").retry_after_seconds is None

    def test_is_told_on_the_error(self) -> None:
        with pytest.raises(ServerUnavailableError) as caught:
            make_answer(429, retry_after="120").check_success()
        assert caught.value.retry_after_seconds == 120


def test_location_that_is_no_url_is_shown_in_part() -> None:
    redirect = make_answer(307, location="http://[" + "x" * 10_000)
    with pytest.raises(InvalidAnswerError, match="impossible place") as caught:
        follow_redirects("http://localhost/", lambda _: redirect)
    assert len(str(caught.value)) < 300
