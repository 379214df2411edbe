from pathlib import Path

import pytest

from gateway.probe import sneakernet
from gateway.probe.steps import (
    LateCargoError,
    LatePingError,
    StepFailedError,
    Timeline,
    UnmetExpectationError,
    UnservedCouriersError,
)
from tests.tls_certificates import write_server_certificate
from tests.unit.gateway.probe.conftest import Play
from tests.unit.gateway.probe.fake_gateway import FakeGateway


def titles(timeline: Timeline, actor: str) -> list[str]:
    return [step.title for step in timeline.steps if step.actor == actor]


@pytest.mark.parametrize("with_pong", [False, True])
def test_gateway_that_behaves_passes(play: Play, timeline: Timeline, *, with_pong: bool) -> None:
    gateway = FakeGateway()

    relay = play(gateway, with_pong=with_pong)

    assert all(step.has_passed for step in timeline.steps)
    assert "delivers malformed cargo" in titles(timeline, "Courier")
    assert not any(gateway.queues.values())
    assert relay.acknowledged


def test_ping_and_pong(play: Play, timeline: Timeline) -> None:
    play(FakeGateway(), with_pong=True)

    assert titles(timeline, "Pong") == ["makes its keys", "receives the ping", "sends the pong"]


def test_without_a_pong_endpoint_a_parcel_comes_home(play: Play, timeline: Timeline) -> None:
    play(FakeGateway())

    assert not titles(timeline, "Pong")
    assert "sends A a parcel" in titles(timeline, "Internet")


def test_parcels_of_strangers_are_passed_over(play: Play, timeline: Timeline) -> None:
    play(FakeGateway(strange_parcels=2), with_pong=True)

    assert all(step.has_passed for step in timeline.steps)


def test_says_how_soon_a_courier_may_collect(play: Play, timeline: Timeline) -> None:
    play(FakeGateway())

    [step] = [step for step in timeline.steps if step.title == "may collect"]
    assert "couriers wait 5 s" in step.detail


@pytest.mark.parametrize(
    ("gateway", "failure", "error"),
    [
        (
            FakeGateway(serves_couriers=False),
            "Courier: delivers A's cargo: Couriers are not served at http://localhost:3: .*UNAVAILABLE",
            UnservedCouriersError,
        ),
        (FakeGateway(unwraps=False), "Device B: is pushed A's parcel: .* did not come within 0.3 s", LateCargoError),
        (FakeGateway(spoils_cargo=True), "The parcel is not the one that was sent", UnmetExpectationError),
        (FakeGateway(ends_for_cargo=True), "ended a collection that was to be kept alive", UnmetExpectationError),
        (
            FakeGateway(delivers_pings=False),
            "Pong: receives the ping: It was not delivered within 0.3 s",
            LatePingError,
        ),
        (FakeGateway(delivers_pings=False, strange_parcels=2), "0.3 s, but 2 others were", LatePingError),
        (
            FakeGateway(returns_letters=False),
            "Device A: opens the cargo: .* does not hold the pong",
            UnmetExpectationError,
        ),
        (FakeGateway(acknowledges=False), "lacks the acknowledgement of 2 of A's parcels", UnmetExpectationError),
        (FakeGateway(takes_cca_twice=True), "Courier: is refused a second time: .* twice", UnmetExpectationError),
        (FakeGateway(heeds_acks=False), "Courier: collects again: .* still has the pong", UnmetExpectationError),
        (FakeGateway(acks_garbage=False), "Courier: delivers malformed cargo: Server ended the call", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_gateway_that_misbehaves_fails(
    play: Play, timeline: Timeline, gateway: FakeGateway, failure: str, error: type[Exception] | None
) -> None:
    with pytest.raises(StepFailedError, match=failure) as caught:
        play(gateway, with_pong=True)

    *others, last = timeline.steps
    assert all(step.has_passed for step in others)
    assert not last.has_passed
    assert error is None or type(caught.value.__cause__) is error


def test_gateway_that_is_late_fails(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sneakernet, "COURIER_WAITS_SECONDS", 0)

    with pytest.raises(StepFailedError, match="Courier: may collect: A courier would not have waited") as caught:
        play(FakeGateway())

    assert isinstance(caught.value.__cause__, LateCargoError)


@pytest.mark.parametrize(
    ("url", "address", "tls"),
    [("http://localhost:3", "localhost:3", False), ("https://cogrpc.example.com", "cogrpc.example.com:443", True)],
)
def test_couriers_use_tls_if_the_url_says_so(play: Play, url: str, address: str, *, tls: bool) -> None:
    relay = play(FakeGateway(), cogrpc_url=url)

    assert (relay.options["address"], relay.options["tls"]) == (address, tls)


def test_couriers_trust_whom_the_other_clients_trust(
    play: Play, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = write_server_certificate(tmp_path).certificate_file
    monkeypatch.setenv("SSL_CERT_FILE", str(file))

    relay = play(FakeGateway())

    assert relay.options["root_certificates"] == file.read_bytes()


def test_couriers_trust_those_of_grpc_where_the_system_names_none(
    play: Play, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent"))

    relay = play(FakeGateway())

    assert relay.options["root_certificates"] is None
