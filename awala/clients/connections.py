"""HTTP over connections that are reused, go only where the caller's rule lets them, and cannot be drawn out.

A time limit for each read and write alone would let a server drip octets for ever, so that everything done for one
delivery also shares one :class:`Deadline`, and what one answer may send is bounded.
"""

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Any, Final

import httpcore
import httpx

from awala.clients.errors import ClientError, ConnectionFailedError, InvalidAnswerError, ServerUnavailableError
from awala.clients.http import Answer, shorten, tls_context

# Everything that one answer may send, headers and framing included: a body serves only to say what went wrong.
MAX_RECEIVED: Final = 65_536
# Each chunk costs time, however small it is.
_MAX_CHUNKS: Final = 1_000
_WRITE_SIZE: Final = 65_536
_MAX_SHOWN: Final = 200
# Servers close idle connections after 5 seconds or more.
_KEEP_ALIVE_SECONDS: Final = 30


class Deadline:
    """The moment at which all that is done for one purpose has to be over, ``seconds`` from now."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = monotonic() + seconds

    @property
    def has_passed(self) -> bool:
        """Whether nothing more may be done."""
        return monotonic() >= self._ends_at

    def limit(self, seconds: float) -> float:
        """Return how long an operation may take that is given ``seconds`` by itself.

        :raises TimeoutError: if the deadline has passed
        """
        remaining = self._ends_at - monotonic()
        if remaining <= 0:
            raise TimeoutError("took too long as a whole")
        return min(seconds, remaining)


# Where to connect for a host name or a literal address: literal addresses, in the order in which to try them.
FindAddresses = Callable[[str, Deadline], Iterable[str]]


def trust_system_resolver(host: str, _: Deadline) -> tuple[str]:
    """Connect to whatever the operating system finds; for hosts that the operator named."""
    return (host,)


@dataclass(kw_only=True, slots=True)
class _Exchange:
    """What goes on in a thread: httpcore itself passes no deadlines on."""

    deadline: Deadline
    timeout_seconds: float
    received: int = 0
    has_connected: bool = False

    def limit(self) -> float:
        return self.deadline.limit(self.timeout_seconds)


class _Current(threading.local):
    exchange: _Exchange


class Connections:
    """A pool of connections that several threads may use; ``timeout_seconds`` is for each read and write.

    ``find_addresses`` says where to connect, and thereby whether: it is asked for each new connection, which then
    goes to the very addresses that it returned, while TLS checks the server's name.
    """

    def __init__(self, *, find_addresses: FindAddresses, timeout_seconds: float, max_connections: int) -> None:
        self._timeout_seconds = timeout_seconds
        self._current = _Current()
        self._backend = _Backend(self._current, find_addresses)
        self._pool = _Pool(self._open, max_connections)

    def close(self) -> None:
        """Close the connections that nobody is using; the others follow when they are done."""
        self._pool.close()

    def post(self, url: str, body: bytes, headers: Mapping[str, str], deadline: Deadline) -> Answer:
        """Send a request and read the answer; redirects are not followed.

        The status of the answer stands even if its body never ends: of that, only the beginning is returned.

        :raises ConnectionFailedError: if nobody was connected to, so that nothing was sent
        :raises ServerUnavailableError: if there is no answer in time
        :raises InvalidAnswerError: if the answer is no HTTP, or its header is too large
        """
        try:
            return self._post(url, body, headers, deadline)
        except _StaleConnectionError:
            # The server closed the connection just as we used it again. Parcels may arrive twice.
            return self._post(url, body, headers, deadline)

    def _post(self, url: str, body: bytes, headers: Mapping[str, str], deadline: Deadline) -> Answer:
        exchange = _Exchange(deadline=deadline, timeout_seconds=self._timeout_seconds)
        with self._report_failures(url, exchange), self._stream(url, body, headers, exchange) as response:
            fields = {name.lower(): value for name, value in reversed(response.headers)}
            return Answer(
                status=response.status,
                content_type=fields.get(b"content-type", b"").decode("latin-1"),
                location=_decode(fields.get(b"location")),
                retry_after=_decode(fields.get(b"retry-after")),
                body=_read_beginning(response, exchange),
            )

    def _open(self, origin: httpcore.Origin) -> httpcore.HTTPConnection:
        return httpcore.HTTPConnection(
            origin, tls_context(), keepalive_expiry=_KEEP_ALIVE_SECONDS, network_backend=self._backend
        )

    @contextmanager
    def _stream(
        self, url: str, body: bytes, headers: Mapping[str, str], exchange: _Exchange
    ) -> Iterator[httpcore.Response]:
        read = httpx.URL(url)
        target = httpcore.URL(scheme=read.raw_scheme, host=read.raw_host, port=read.port, target=read.raw_path)
        all_headers = {
            "Host": read.netloc.decode("ascii"),
            "Accept": "application/json, */*;q=0.5",
            # A small compressed answer could unfold to a large one.
            "Accept-Encoding": "identity",
            **headers,
        }
        self._current.exchange = exchange
        with (
            self._pool.borrow(target.origin, exchange.limit()) as connection,
            connection.stream("POST", target, headers=list(all_headers.items()), content=body) as response,
        ):
            yield response

    @contextmanager
    def _report_failures(self, url: str, exchange: _Exchange) -> Iterator[None]:
        # A redirect may have named a long one.
        shown = url[:_MAX_SHOWN]
        try:
            yield
        except (httpcore.TimeoutException, TimeoutError) as error:
            raise ServerUnavailableError(f"No answer from {shown} in time") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            if not exchange.has_connected and not exchange.received:
                raise _StaleConnectionError(f"{shown} closed a connection that was kept open") from error
            raise _transport_error(shown, error) from error


class _Pool:
    """Connections that are open; each is used by one thread at a time.

    The pool of httpcore looks at idle connections while other threads begin to use them. Then it may take an answer
    that arrives for the end of the connection, and close that, so that a parcel is sent twice.
    """

    def __init__(self, connect: Callable[[httpcore.Origin], httpcore.HTTPConnection], max_connections: int) -> None:
        self._connect = connect
        self._max_idle = max_connections
        self._free = threading.BoundedSemaphore(max_connections)
        self._lock = threading.Lock()
        # Those used last come last.
        self._idle: list[httpcore.HTTPConnection] = []
        self._is_closed = False

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        _close_all(idle)

    @contextmanager
    def borrow(self, origin: httpcore.Origin, seconds: float) -> Iterator[httpcore.HTTPConnection]:
        """Lend a connection to ``origin``; wait for it that long at most."""
        if not self._free.acquire(timeout=seconds):
            raise TimeoutError("all connections are in use")
        try:
            connection = self._take(origin) or self._connect(origin)
            try:
                yield connection
            finally:
                self._put_back(connection)
        finally:
            self._free.release()

    def _take(self, origin: httpcore.Origin) -> httpcore.HTTPConnection | None:
        expired = []
        with self._lock:
            fitting = [connection for connection in self._idle if connection.can_handle_request(origin)]
            while fitting and fitting[-1].has_expired():
                expired.append(fitting.pop())
            found = fitting[-1] if fitting else None
            self._idle = [connection for connection in self._idle if connection not in {found, *expired}]
        _close_all(expired)
        return found

    def _put_back(self, connection: httpcore.HTTPConnection) -> None:
        surplus = []
        with self._lock:
            if self._is_closed or connection.is_closed() or not connection.is_idle():
                surplus.append(connection)
            else:
                self._idle.append(connection)
            # Connections to servers that are not asked any more would otherwise stay.
            if self._idle and (len(self._idle) > self._max_idle or self._idle[0].has_expired()):
                surplus.append(self._idle.pop(0))
        _close_all(surplus)


def _close_all(connections: Iterable[httpcore.HTTPConnection]) -> None:
    for connection in connections:
        connection.close()


class _StaleConnectionError(ServerUnavailableError):
    """A connection that was kept open for another request was of no use any more."""


def _transport_error(url: str, error: Exception) -> ClientError:
    # Parsers quote what they cannot read, such as a status line of any length.
    reason = shorten(str(error))
    if isinstance(error, httpcore.ProtocolError):
        return InvalidAnswerError(f"No valid answer from {url}: {reason}")
    return ServerUnavailableError(f"Connection to {url} broke: {reason}")


def _decode(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _read_beginning(response: httpcore.Response, exchange: _Exchange) -> bytes:
    """Read to the end, so that the connection can be used again, or as far as time and size allow."""
    # All of the body together gets no more time than any other operation.
    exchange.deadline = Deadline(exchange.limit())
    chunks = []
    try:
        for chunk in islice(response.iter_stream(), _MAX_CHUNKS):
            chunks.append(chunk)  # noqa: PERF402 - what came before a failure is kept.
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.RemoteProtocolError):
        # The status has said already what counts; the connection is closed, and not used again.
        pass
    return b"".join(chunks)


class _Backend(httpcore.NetworkBackend):
    """Connects where it is told to, and nowhere else."""

    def __init__(self, current: _Current, find_addresses: FindAddresses) -> None:
        self._current = current
        self._find_addresses = find_addresses

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - that of the exchange counts.
        local_address: str | None = None,  # noqa: ARG002 - never given.
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002 - never given.
    ) -> httpcore.NetworkStream:
        exchange = self._current.exchange
        exchange.has_connected = True
        failure = "it has no address"
        for address in self._find_addresses(host, exchange.deadline):
            try:
                connected = socket.create_connection((address, port), exchange.limit())
            except (OSError, UnicodeError, OverflowError) as error:
                failure = str(error)
            else:
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return _Stream(connected, self._current)
        raise ConnectionFailedError(f"Cannot reach {host} on port {port}: {failure}")


class _Stream(httpcore.NetworkStream):
    """A connected socket whose every operation heeds the exchange of the thread that uses it."""

    def __init__(self, connected: socket.socket, current: _Current) -> None:
        self._socket = connected
        self._current = current

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - that of the exchange counts.
        exchange = self._current.exchange
        try:
            self._socket.settimeout(exchange.limit())
            octets = self._socket.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error
        exchange.received += len(octets)
        if exchange.received > MAX_RECEIVED:
            raise httpcore.RemoteProtocolError("answer is too large")
        return octets

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - that of the exchange counts.
        exchange = self._current.exchange
        remaining = memoryview(buffer)
        try:
            while remaining:
                self._socket.settimeout(exchange.limit())
                # TLS counts all that it is given as one write, and a large parcel may take longer than that may.
                remaining = remaining[self._socket.send(remaining[:_WRITE_SIZE]) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            # httpcore then looks whether the server has said why before it closed the connection.
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._socket.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - that of the exchange counts.
    ) -> httpcore.NetworkStream:
        try:
            # Names that TLS cannot carry fail here, where they leave no socket behind.
            (server_hostname or "").encode("idna")
            # This limit is for the handshake as a whole.
            self._socket.settimeout(self._current.exchange.limit())
            secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
        except (OSError, ValueError) as error:
            self.close()
            raise ConnectionFailedError(f"No TLS connection with {server_hostname}: {error}") from error
        return _Stream(secured, self._current)

    def get_extra_info(self, info: str) -> Any:
        """Tell the one thing that httpcore needs to know: whether an idle connection was closed by the server."""
        if info != "is_readable":
            return None
        # One that another thread closed meanwhile cannot be used either.
        return self._socket.fileno() < 0 or _is_readable(self._socket)


def _is_readable(connected: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return bool(poll.poll(0))
