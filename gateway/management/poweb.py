"""The PoWeb server; apart from the others, because processes without PoWeb load neither Daphne nor Twisted."""

from django.conf import settings

from gateway.asgi import application
from gateway.management.process import DRAIN_SECONDS, port_error
from gateway.servers.daphne import Server
from poweb.consumers import drain


def listen_poweb() -> Server:
    bind = settings.POWEB_BIND
    server = Server(application, host=bind.host, port=bind.port, on_drain=drain, drain_seconds=DRAIN_SECONDS)
    try:
        server.listen()
    except OSError as exc:
        raise port_error("PoWeb", bind, exc) from exc
    return server
