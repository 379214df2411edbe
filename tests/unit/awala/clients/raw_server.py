"""A server that does with each connection as it is told, right or wrong, until the test is over."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread


@dataclass(kw_only=True)
class RawServer:
    port: int
    over: Event = field(default_factory=Event)
    connections: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


Handler = Callable[[socket.socket, RawServer], None]


def read_request(connection: socket.socket) -> None:
    """Read at least the header."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536) or b"\r\n\r\n"


def send_repeatedly(head: bytes, octets: bytes, *, pause: float = 0) -> Handler:
    """Return the behaviour of answering with ``head``, and then ``octets`` again and again."""

    def handle(connection: socket.socket, server: RawServer) -> None:
        read_request(connection)
        connection.sendall(head)
        while not server.over.wait(pause):
            connection.sendall(octets)

    return handle


def hang(_: socket.socket, server: RawServer) -> None:
    """Neither read nor answer."""
    server.over.wait(30)


@contextmanager
def serve_raw(handle: Handler) -> Iterator[RawServer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = RawServer(port=listener.getsockname()[1])
        threads: list[Thread] = []

        def accept() -> None:
            with suppress(OSError):
                while not server.over.is_set():
                    connection, _ = listener.accept()
                    server.connections.append(connection)
                    threads.append(Thread(target=run, args=(connection,), daemon=True))
                    threads[-1].start()

        def run(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                handle(connection, server)

        accepting = Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            server.over.set()
            # Wakes accept(), which closing alone would not.
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection in server.connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(10)
