"""The times of a collection: pings from the start, silence noticed, and no handshake that lasts for ever.

They take about ten seconds each, so all of them run at once, on both servers, and each test looks at one of them.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from awala.collection import HANDSHAKE_TIMED_OUT
from awala.handshake import HandshakeChallenge, HandshakeResponse
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PrivateGateway
from tests.functional.raw_websocket import BINARY, CLOSE, PING, PONG, ConnectionCutError, Frame, RawWebSocket

pytestmark = pytest.mark.functional

# Between the time that was set and what a busy machine makes of it.
SLACK = 1.0


@dataclass(frozen=True, kw_only=True)
class Observation:
    frames: tuple[Frame, ...]
    ended_at: float
    """Seconds after the connection began; when it was closed or cut."""

    def times_of(self, opcode: int) -> list[float]:
        return [frame.at for frame in self.frames if frame.opcode == opcode]


def observe(peer: PrivateGateway, *, answers_pings: bool, completes_handshake: bool, until: float) -> Observation:
    """Watch a connection until it ends, or until so many seconds have passed."""
    frames: list[Frame] = []
    with RawWebSocket(peer.process.ports.poweb) as connection:
        while connection.seconds < until:
            try:
                frame = connection.read_frame()
            except ConnectionCutError:
                break
            frames.append(frame)
            if frame.opcode == PING and answers_pings:
                connection.send_frame(PONG, frame.payload)
            elif frame.opcode == BINARY and completes_handshake:
                connection.send_frame(BINARY, respond(peer, frame.payload))
            elif frame.opcode == CLOSE:
                break
        return Observation(frames=tuple(frames), ended_at=connection.seconds)


def respond(peer: PrivateGateway, challenge: bytes) -> bytes:
    nonce = HandshakeChallenge.deserialize(challenge).nonce
    return HandshakeResponse(nonce_signatures=(peer.sign_nonce(nonce),)).serialize()


def observe_idle(peer: PrivateGateway) -> Observation:
    """Ends with the second ping, later than a client that is taken for dead."""
    return observe(peer, answers_pings=True, completes_handshake=True, until=9.8)


def observe_silent(peer: PrivateGateway) -> Observation:
    """Sends nothing at all after the upgrade."""
    return observe(peer, answers_pings=False, completes_handshake=False, until=14)


def observe_without_pongs(peer: PrivateGateway) -> Observation:
    return observe(peer, answers_pings=False, completes_handshake=True, until=14)


def observe_without_handshake(peer: PrivateGateway) -> Observation:
    return observe(peer, answers_pings=True, completes_handshake=False, until=14)


Observe = Callable[[PrivateGateway], Observation]
ALL: tuple[Observe, ...] = (observe_idle, observe_silent, observe_without_pongs, observe_without_handshake)


@pytest.fixture(scope="module")
def observations(
    gateway: GatewayProcess, uvicorn_gateway: GatewayProcess
) -> Iterator[Mapping[tuple[GatewayProcess, Observe], Future[Observation]]]:
    processes = (gateway, uvicorn_gateway)
    peers = {process: PrivateGateway.register(process) for process in processes}
    with ThreadPoolExecutor(len(processes) * len(ALL)) as threads:
        yield {(process, watch): threads.submit(watch, peers[process]) for process in processes for watch in ALL}


@pytest.fixture
def look(
    any_gateway: GatewayProcess, observations: Mapping[tuple[GatewayProcess, Observe], Future[Observation]]
) -> Callable[[Observe], Observation]:
    return lambda watch: observations[any_gateway, watch].result()


def test_ping_every_five_seconds_from_the_start(look: Callable[[Observe], Observation]) -> None:
    """Deployed JavaScript clients leave after seven seconds without a ping, counted from the upgrade."""
    first, second = look(observe_idle).times_of(PING)[:2]
    before_the_handshake = look(observe_without_handshake).times_of(PING)[0]

    assert 4 < second - first < 5 + SLACK
    for at in (first, before_the_handshake):
        assert 4 < at < 5 + SLACK


def test_pong_is_all_that_an_idle_collection_needs(look: Callable[[Observe], Observation]) -> None:
    observation = look(observe_idle)

    assert observation.ended_at > 9.8
    assert observation.times_of(CLOSE) == []


@pytest.mark.parametrize("watch", [observe_silent, observe_without_pongs])
def test_silent_client_is_dropped_after_nine_seconds(look: Callable[[Observe], Observation], watch: Observe) -> None:
    observation = look(watch)

    assert 9 - SLACK < observation.ended_at < 9 + SLACK
    # A cut, or a close that is no ordinary end: Android would not collect again after a 1000.
    assert 1000 not in [frame.close_code for frame in observation.frames if frame.opcode == CLOSE]


def test_handshake_takes_ten_seconds_at_most(look: Callable[[Observe], Observation]) -> None:
    observation = look(observe_without_handshake)

    (closure,) = [frame for frame in observation.frames if frame.opcode == CLOSE]
    assert closure.close_code == HANDSHAKE_TIMED_OUT.code
    assert closure.payload[2:].decode() == HANDSHAKE_TIMED_OUT.reason
    assert 10 - 0.1 < closure.at < 10 + SLACK
