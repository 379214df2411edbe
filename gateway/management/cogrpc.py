"""The CogRPC server; apart from the others, because processes without CogRPC do not load gRPC."""

import errno
import os
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

from cogrpc.server import CourierServer, Limits, PortTakenError, TLSFiles
from gateway.management.process import port_error


def listen_cogrpc() -> CourierServer:
    bind = settings.COGRPC_BIND
    limits = Limits(
        streams=settings.COGRPC_MAX_STREAMS,
        calls=settings.COGRPC_MAX_CALLS,
        metadata_octets=settings.COGRPC_MAX_METADATA_OCTETS,
        connection_age=settings.COGRPC_MAX_CONNECTION_AGE_SECONDS,
        connection_idle=settings.COGRPC_MAX_CONNECTION_IDLE_SECONDS,
    )
    server = CourierServer(address=str(bind), threads=settings.COGRPC_THREADS, limits=limits, tls=_read_tls_files())
    try:
        server.listen()
    except PortTakenError as exc:
        # gRPC does not say why; there is hardly another reason.
        raise port_error("CogRPC", bind, OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))) from exc
    return server


def _read_tls_files() -> TLSFiles | None:
    if settings.COGRPC_TLS_CERTIFICATE is None:
        return None
    certificate, key = (_read(name, getattr(settings, name)) for name in ("COGRPC_TLS_CERTIFICATE", "COGRPC_TLS_KEY"))
    return TLSFiles(certificate=certificate, key=key)


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise CommandError(f"{name}: {path} cannot be read: {exc.strerror}") from exc
