"""An endpoint on the Internet as gateways meet it: takes parcels over PoHTTP, or fails in every way that servers do.

These settings make a gateway deliver to it: see `InternetEndpoint.environment`.
"""

import hashlib
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self

from tests.functional.exchange import exchange
from tests.functional.gateway_process import Ports
from tests.functional.pohttp_server import HOST, PoHTTPServer

PARCEL_TYPE = "application/vnd.awala.parcel"
PATIENCE_SECONDS = 20.0
_REPLY_SECONDS = 30.0
_REPLY_INTERVAL_SECONDS = 0.2
_REPLY_THREADS = 4

Respond = Callable[[bytes], bytes]
"""From a parcel to the parcel that answers it."""


@dataclass(frozen=True, kw_only=True)
class ReceivedParcel:
    sha256: str
    size: int
    received_at: float
    """By `time.time()`, once the whole body had come."""
    status: int | None
    """What was answered; nothing while the endpoint hangs."""
    serialized: bytes | None = field(repr=False)

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How requests are answered from now on; without a status they never are."""

    status: int | None = HTTPStatus.ACCEPTED
    location: str | None = None
    delay_seconds: float = 0


class InternetEndpoint:
    """Enter its `with` block, or call `close` in the end. What arrived is kept while it is down.

    With `keep_serialized=False` only digests are kept, for tens of thousands of parcels.
    """

    def __init__(
        self, *, port: int | None = None, tls: ssl.SSLContext | None = None, keep_serialized: bool = True
    ) -> None:
        self.port = port or Ports.choose().pohttp
        self._tls = tls
        self._keep_serialized = keep_serialized
        self._changed = threading.Condition()
        self._received: list[ReceivedParcel] = []
        self._behaviour = Behaviour()
        self._released = threading.Event()
        self._server: PoHTTPServer | None = None
        self._replies: list[Future[None]] = []
        self._replying: tuple[Respond, str] | None = None
        self._threads = ThreadPoolExecutor(_REPLY_THREADS, "internet-endpoint")
        self.come_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    def environment(self, *internet_addresses: str) -> dict[str, str]:
        """Settings of a gateway that is to find these addresses here."""
        overrides = [f"{address}={HOST}:{self.port}" for address in internet_addresses]
        return {"POHTTP_USE_TLS": str(bool(self._tls)).lower(), "INTERNET_ADDRESS_OVERRIDES": ",".join(overrides)}

    # ------------------------------------------------------------------ what it does

    def behave(self, behaviour: Behaviour) -> None:
        """Answer so from now on; requests that hang are cut, unless they are to go on hanging."""
        with self._changed:
            released, self._released = self._released, threading.Event()
            self._behaviour = behaviour
        released.set()

    def answer(self, status: int, *, location: str | None = None) -> None:
        self.behave(Behaviour(status=status, location=location))

    def accept(self) -> None:
        self.behave(Behaviour())

    def hang(self) -> None:
        """Take requests whole, and say nothing."""
        self.behave(Behaviour(status=None))

    def go_down(self) -> None:
        """Refuse connections, and cut those that are open."""
        with self._changed:
            server, self._server = self._server, None
            released, self._released = self._released, threading.Event()
        released.set()
        if server:
            server.stop()

    def come_back(self) -> None:
        """Listen again on the same port."""
        if self._server is None:
            self._server = PoHTTPServer(self.port, self._on_request, self._tls)

    def reply(self, respond: Respond, pohttp_url: str) -> None:
        """From now on answer each accepted parcel by another, sent to a gateway until that takes it."""
        self._replying = respond, pohttp_url

    def close(self) -> None:
        """Raises what went wrong with replies."""
        self.go_down()
        self._threads.shutdown(cancel_futures=True)
        for reply in self._replies:
            if reply.done() and not reply.cancelled():
                reply.result()

    # ------------------------------------------------------------------ what it saw

    @property
    def received(self) -> list[ReceivedParcel]:
        """Every parcel that came whole, in order, whatever was answered."""
        with self._changed:
            return list(self._received)

    @property
    def accepted(self) -> list[ReceivedParcel]:
        return [parcel for parcel in self.received if parcel.is_accepted]

    @property
    def counts(self) -> Counter[str]:
        """How often each parcel was accepted, by its SHA-256."""
        return Counter(parcel.sha256 for parcel in self.accepted)

    def wait_until_received(self, number: int, *, timeout: float = PATIENCE_SECONDS) -> list[ReceivedParcel]:
        """Until so many came in all; raises TimeoutError."""
        self._wait(lambda: len(self._received) >= number, timeout)
        return self.received

    def wait_until_accepted(self, sha256s: Iterable[str], *, timeout: float = PATIENCE_SECONDS) -> None:
        """Until each of these came; raises TimeoutError."""
        missing = set(sha256s)
        seen = 0

        def all_came() -> bool:
            nonlocal seen
            missing.difference_update(parcel.sha256 for parcel in self._received[seen:] if parcel.is_accepted)
            seen = len(self._received)
            return not missing

        self._wait(all_came, timeout)

    def _wait(self, is_met: Callable[[], bool], timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(is_met, timeout):
                raise TimeoutError(f"After {timeout} s {len(self._received)} parcels have come")

    # ------------------------------------------------------------------ in the server's threads

    def _on_request(self, content_type: str | None, body: bytes) -> Behaviour | None:
        if content_type != PARCEL_TYPE:
            return Behaviour(status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        with self._changed:
            behaviour, released, replying = self._behaviour, self._released, self._replying
        if behaviour.delay_seconds:
            time.sleep(behaviour.delay_seconds)
        parcel = ReceivedParcel(
            sha256=hashlib.sha256(body).hexdigest(),
            size=len(body),
            received_at=time.time(),
            status=behaviour.status,
            serialized=body if self._keep_serialized else None,
        )
        with self._changed:
            self._received.append(parcel)
            self._changed.notify_all()
        if behaviour.status is None:
            released.wait()
            return None
        if parcel.is_accepted and replying:
            self._replies.append(self._threads.submit(_reply, *replying, body))
        return behaviour


def _reply(respond: Respond, pohttp_url: str, parcel_serialized: bytes) -> None:
    reply = respond(parcel_serialized)
    deadline = time.monotonic() + _REPLY_SECONDS
    while True:
        try:
            status = exchange("POST", pohttp_url, reply, {"Content-Type": PARCEL_TYPE}).status
        except OSError:
            status = HTTPStatus.SERVICE_UNAVAILABLE
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            assert status == HTTPStatus.ACCEPTED, f"The gateway answered {status} to a reply"
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"The gateway did not take a reply within {_REPLY_SECONDS} s")
        time.sleep(_REPLY_INTERVAL_SECONDS)
