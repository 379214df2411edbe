from collections.abc import Iterator

import pytest

from awala.clients.errors import RejectedRequestError, ServerUnavailableError
from gateway.probe.steps import Step, StepFailedError, Timeline, UnmetExpectationError


@pytest.fixture
def timeline() -> Timeline:
    """A timeline whose clock advances by a second whenever it is read."""
    seconds: Iterator[int] = iter(range(100))
    return Timeline(report=lambda _: None, clock=lambda: float(next(seconds)))


def test_step_is_timed(timeline: Timeline) -> None:
    with timeline.step("Device A", "registers") as findings:
        findings.detail = "id"

    assert timeline.steps == [
        Step(started_after=1, seconds=1, actor="Device A", title="registers", detail="id", has_passed=True)
    ]


def test_steps_are_reported_as_they_end() -> None:
    reported: list[str] = []
    timeline = Timeline(report=lambda step: reported.append(step.title))

    for title in ("one", "two"):
        with timeline.step("Device A", title):
            assert title not in reported
        assert reported[-1] == title


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ServerUnavailableError("Cannot reach it"), "Cannot reach it"),
        (RejectedRequestError("No", status=400), "No (trying again will not help)"),
        (UnmetExpectationError("Not as sent"), "Not as sent"),
        (TimeoutError(), "it did not happen in time"),
    ],
)
def test_failed_step_says_why(timeline: Timeline, error: Exception, cause: str) -> None:
    with pytest.raises(StepFailedError) as caught, timeline.step("Device A", "registers"):
        raise error

    assert str(caught.value) == f"Device A: registers: {cause}"
    assert caught.value.__cause__ is error
    [step] = timeline.steps
    assert step.detail == cause
    assert not step.has_passed


def test_mistake_of_the_probe_is_no_failed_step(timeline: Timeline) -> None:
    with pytest.raises(ZeroDivisionError), timeline.step("Device A", "registers"):
        raise ZeroDivisionError

    assert not timeline.steps
