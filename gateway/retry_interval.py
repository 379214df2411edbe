"""How long to leave a destination alone after a failure.

The wait is a hundredth of the time for which everything has failed: an hour of silence makes it 36 seconds, so that
nobody who comes back waits for a minute, and a day makes it a quarter of an hour. Attempts thus grow with the
logarithm of the outage, as with doubling, but late ones come no later than a hundredth of what was lost already.
"""

from datetime import timedelta

FIRST_INTERVAL = timedelta(seconds=5)
LONGEST_INTERVAL = timedelta(hours=1)
_SHARE_OF_OUTAGE = 100
# Up to so much of the wait is left out at random, so that what failed together does not come back together.
_JITTER = 0.2


def retry_interval(failing_for: timedelta, randomness: float) -> timedelta:
    """The wait after a failure; `randomness` is drawn from 0 to 1."""
    interval = min(max(failing_for / _SHARE_OF_OUTAGE, FIRST_INTERVAL), LONGEST_INTERVAL)
    return interval * (1 - _JITTER * randomness)
