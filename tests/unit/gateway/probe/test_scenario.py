import itertools

import pytest

from awala.errors import InvalidArgumentError
from gateway.probe import scenario
from gateway.probe.scenario import PAYLOAD_SIZES, Target, probe
from gateway.probe.steps import StepFailedError, Timeline
from tests import factories
from tests.unit.gateway.probe.fake_gateway import FakeGateway

TARGET = Target(poweb_url="http://localhost:1", pohttp_url="http://localhost:2", timeout_seconds=0.3)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(report=lambda _: None)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, timeline: Timeline) -> "Play":
    return Play(monkeypatch, timeline)


class Play:
    """Plays the scenario against a gateway in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, timeline: Timeline) -> None:
        self._monkeypatch = monkeypatch
        self._timeline = timeline

    def __call__(self, gateway: FakeGateway) -> None:
        self._monkeypatch.setattr(scenario, "PoWebClient", gateway)
        self._monkeypatch.setattr(scenario, "deliver_parcel", gateway.deliver_over_pohttp)
        # Making keys is most of what a probe does, so they are made once for all of these tests.
        numbers = itertools.count()
        self._monkeypatch.setattr(scenario, "generate_rsa_key", lambda: factories.rsa_key(f"probe {next(numbers)}"))
        probe(TARGET, self._timeline)


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://localhost"])
def test_target_is_reached_over_http(url: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Target(poweb_url=url, pohttp_url="http://localhost")
    with pytest.raises(InvalidArgumentError):
        Target(poweb_url="http://localhost", pohttp_url=url)


def test_gateway_that_behaves_passes(play: Play, timeline: Timeline) -> None:
    gateway = FakeGateway()

    play(gateway)

    assert all(step.has_passed for step in timeline.steps)
    assert sum(step.title == "is pushed it" for step in timeline.steps) == len(PAYLOAD_SIZES)
    assert not any(gateway.queues.values())


def test_acknowledgement_under_way_is_waited_for(play: Play) -> None:
    play(FakeGateway(delivers_again=1))


@pytest.mark.parametrize(
    ("gateway", "failure"),
    [
        (FakeGateway(certified_by="other"), "Device A: registers: The certificate is by another gateway"),
        (FakeGateway(has_session_key=False), "lacks the gateway's session key"),
        (FakeGateway(address="other.example.com"), "names another Internet address"),
        (FakeGateway(pushes=False), "Device B: is pushed it: it did not happen in time"),
        (FakeGateway(forgets_poweb=True), "Device B: is pushed it: it did not happen in time"),
        (FakeGateway(forgets_pohttp=True), "said that there are no more, 4 parcels too early"),
        (FakeGateway(ends_kept_alive=True), "ended a collection that was to be kept alive"),
        (FakeGateway(spoils=True), "The parcel is not the one that was sent"),
        (FakeGateway(sends_twice=True), "The parcel is not the one that was sent"),
        (FakeGateway(takes_expired=True), "Device A: is refused an expired parcel: The gateway accepted it"),
        (FakeGateway(poweb_refusal=400), "refused it with HTTP 400 instead of 422"),
        (FakeGateway(delivers_again=1_000_000), "A parcel came back after it was acknowledged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_gateway_that_misbehaves_fails(play: Play, timeline: Timeline, gateway: FakeGateway, failure: str) -> None:
    with pytest.raises(StepFailedError, match=failure):
        play(gateway)

    *others, last = timeline.steps
    assert all(step.has_passed for step in others)
    assert not last.has_passed
