import itertools
import socket
from dataclasses import replace

import pytest

from gateway.probe import scenario, sneakernet
from gateway.probe.scenario import probe
from gateway.probe.steps import Timeline
from gateway.probe.target import PongPlace, Target
from tests import factories
from tests.unit.gateway.probe.fake_gateway import FakeGateway
from tests.unit.gateway.probe.fake_relay import FakeRelay

TARGET = Target(
    poweb_url="http://localhost:1",
    pohttp_url="http://localhost:2",
    cogrpc_url="http://localhost:3",
    timeout_seconds=0.3,
)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline(report=lambda _: None)


@pytest.fixture
def pong_place() -> PongPlace:
    """A port of the loopback interface that was free a moment ago."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return PongPlace(internet_address="pong.example.com", host="127.0.0.1", port=bound.getsockname()[1])


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch, timeline: Timeline, pong_place: PongPlace) -> "Play":
    return Play(monkeypatch, timeline, pong_place)


class Play:
    """Plays the scenario against a gateway in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, timeline: Timeline, pong_place: PongPlace) -> None:
        self._monkeypatch = monkeypatch
        self._timeline = timeline
        self._pong_place = pong_place

    def __call__(self, gateway: FakeGateway, *, with_pong: bool = False, cogrpc_url: str | None = None) -> FakeRelay:
        relay = FakeRelay(gateway, f"http://127.0.0.1:{self._pong_place.port}")
        # Making keys is most of what a probe does, so they are made once for all of these tests.
        numbers = itertools.count()
        for module in (scenario, sneakernet):
            self._monkeypatch.setattr(module, "deliver_parcel", gateway.deliver_over_pohttp)
            self._monkeypatch.setattr(module, "generate_rsa_key", lambda: factories.rsa_key(f"probe {next(numbers)}"))
        self._monkeypatch.setattr(scenario, "PoWebClient", gateway)
        self._monkeypatch.setattr(sneakernet, "CogRPCClient", relay)
        target = replace(
            TARGET, pong=self._pong_place if with_pong else None, cogrpc_url=cogrpc_url or TARGET.cogrpc_url
        )
        probe(target, self._timeline)
        return relay
