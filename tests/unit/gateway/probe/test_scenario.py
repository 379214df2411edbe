import pytest

from gateway.probe.scenario import PAYLOAD_SIZES
from gateway.probe.steps import StepFailedError, Timeline
from tests.unit.gateway.probe.conftest import Play
from tests.unit.gateway.probe.fake_gateway import FakeGateway


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
