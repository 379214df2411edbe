"""A proxy that takes TLS off, as one stands in front of every public gateway."""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Self

from tests.tls_certificates import write_server_certificate

_CHUNK = 64 * 1024


class TLSProxy:
    """Serves as localhost, with a certificate that nobody trusts but who is given `certificate_file`."""

    def __init__(self, folder: Path) -> None:
        self._certificate = write_server_certificate(folder)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []

    @property
    def certificate_file(self) -> Path:
        return self._certificate.certificate_file

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def serve(self, target_port: int) -> str:
        """Return the URL under which a port of the loopback interface is now served over TLS."""
        server = asyncio.run_coroutine_threadsafe(self._start(target_port), self._loop).result()
        self._servers.append(server)
        return f"https://localhost:{server.sockets[0].getsockname()[1]}"

    async def _start(self, target_port: int) -> asyncio.Server:
        async def connect(client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", target_port)
            await asyncio.gather(_pump(client_reader, writer), _pump(reader, client_writer))

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # gRPC insists that HTTP/2 is agreed on; the others ask for HTTP/1.1, or for nothing.
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.load_cert_chain(self._certificate.certificate_file, self._certificate.key_file)
        return await asyncio.start_server(connect, "127.0.0.1", 0, ssl=context)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
