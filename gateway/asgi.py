"""The ASGI application of the PoWeb port: HTTP in threads, the parcel collection in the event loop."""

from collections.abc import Awaitable, Callable
from typing import Any

# This sets Django up, which comes before the import of anything that has models.
from gateway.wsgi import poweb_application  # isort: skip
import structlog
from channels.routing import ProtocolTypeRouter
from django.conf import settings

from gateway.servers.bridge import WSGIBridge
from poweb.consumers import CollectionConsumer

COLLECTION_PATH = "/v1/parcel-collection"

_INTERNAL_ERROR = 1011

logger = structlog.get_logger(__name__)

Message = dict[str, Any]
_consume: Any = CollectionConsumer.as_asgi()


async def serve_websocket(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Refuse unknown paths, and close with 1011 where the consumer fails: not every server does either."""
    if scope["path"] != COLLECTION_PATH:
        await receive()
        await send({"type": "websocket.close"})
        return
    is_closed = False

    async def watch(message: Message) -> None:
        nonlocal is_closed
        is_closed = is_closed or message["type"] == "websocket.close"
        await send(message)

    try:
        await _consume(scope, receive, watch)
    except Exception:
        logger.exception("collection_failed")
        if not is_closed:
            await send({"type": "websocket.close", "code": _INTERNAL_ERROR, "reason": "Internal error"})


application = ProtocolTypeRouter(
    {
        "http": WSGIBridge(poweb_application, threads=settings.POWEB_THREADS, name="poweb"),
        "websocket": serve_websocket,
    }
)
