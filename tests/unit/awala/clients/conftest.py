import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from awala.clients.http import tls_context
from tests.tls_certificates import write_server_certificate


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port of the loopback interface where nobody listens, for as long as the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def tls_server_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """TLS for a server called localhost, by an authority that the clients trust during the test."""
    written = write_server_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(written.certificate_file))
    tls_context.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(written.certificate_file, written.key_file)
    yield context
    tls_context.cache_clear()
