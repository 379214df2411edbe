"""What the probe does, told as it happens: named, timed steps, of which the first that fails ends the probe."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from awala.clients.errors import ClientError
from awala.errors import AwalaError
from gateway.errors import GatewayError


class UnmetExpectationError(GatewayError):
    """The gateway answered, but not as the protocol says that it must."""


class UnservedCouriersError(UnmetExpectationError):
    """CogRPC cannot be reached, or does not serve now."""


class LateCargoError(UnmetExpectationError):
    """What was in an acknowledged cargo has not come out, or too late for the courier that waits for answers."""


class LatePingError(UnmetExpectationError):
    """A ping did not come from the gateway to the endpoint on the Internet."""


class StepFailedError(GatewayError):
    """The probe is over; the message names the step and the cause."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step that has ended. Times are in seconds, the first counted from the start of the probe."""

    started_after: float
    seconds: float
    actor: str
    title: str
    detail: str
    has_passed: bool


@dataclass(kw_only=True)
class Findings:
    """What a step has to say beside its title, once it knows."""

    detail: str = ""


@dataclass(kw_only=True)
class Timeline:
    """Runs steps one after the other, and hands each to `report` when it has ended."""

    report: Callable[[Step], None]
    clock: Callable[[], float] = time.perf_counter
    steps: list[Step] = field(default_factory=list)
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        self._start = self.clock()

    @property
    def elapsed_seconds(self) -> float:
        return self.clock() - self._start

    @contextmanager
    def step(self, actor: str, title: str) -> Iterator[Findings]:
        """Time what happens inside; raises StepFailedError if the gateway or the way to it is at fault."""
        findings = Findings()
        started_after = self.elapsed_seconds

        def end(detail: str, *, has_passed: bool) -> None:
            step = Step(
                started_after=started_after,
                seconds=self.elapsed_seconds - started_after,
                actor=actor,
                title=title,
                detail=detail,
                has_passed=has_passed,
            )
            self.steps.append(step)
            self.report(step)

        try:
            yield findings
        except (AwalaError, UnmetExpectationError, TimeoutError) as error:
            cause = describe(error)
            end(cause, has_passed=False)
            raise StepFailedError(f"{actor}: {title}: {cause}") from error
        end(findings.detail, has_passed=True)


def expect(condition: object, complaint: str) -> None:
    """Raises UnmetExpectationError with the complaint, unless the condition is met."""
    if not condition:
        raise UnmetExpectationError(complaint)


def describe(error: Exception) -> str:
    """What went wrong, in words for an operator."""
    if isinstance(error, TimeoutError):
        return "it did not happen in time"
    advice = "" if not isinstance(error, ClientError) or error.retryable else " (trying again will not help)"
    return f"{error}{advice}"
