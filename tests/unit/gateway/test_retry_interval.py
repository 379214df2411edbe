from datetime import timedelta

import pytest

from gateway.retry_interval import FIRST_INTERVAL, LONGEST_INTERVAL, retry_interval


@pytest.mark.parametrize(
    ("failing_for", "interval"),
    [
        (timedelta(0), FIRST_INTERVAL),
        (timedelta(seconds=500), FIRST_INTERVAL),
        (timedelta(hours=1), timedelta(seconds=36)),
        (timedelta(days=1), timedelta(seconds=864)),
        (timedelta(days=30), LONGEST_INTERVAL),
    ],
)
def test_interval_is_a_hundredth_of_the_outage(failing_for: timedelta, interval: timedelta) -> None:
    assert retry_interval(failing_for, 0) == interval
    assert retry_interval(failing_for, 1) == interval * 0.8
