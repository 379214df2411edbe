"""Hints to the collectors of a peer that it has new parcels; each may be lost, since the database is the truth."""

import asyncio
import os
import threading
from typing import Any

import structlog
from channels.layers import BaseChannelLayer, get_channel_layer

from gateway.channel_layer import InProcessChannelLayer

PARCEL_STORED: dict[str, Any] = {"type": "parcel.stored"}

_SEND_SECONDS = 3
_log = structlog.get_logger(__name__)


def collection_group(peer_id: str) -> str:
    """The group that the collectors of a peer join."""
    return f"collection.{peer_id}"


def notify_peer(peer_id: str) -> None:
    """Hint from any thread that a parcel was stored for the peer; returns at once and never raises."""
    try:
        layer = get_channel_layer()
        if isinstance(layer, InProcessChannelLayer):
            layer.group_send_threadsafe(collection_group(peer_id), PARCEL_STORED)
        elif layer is not None:
            hint_sender.submit(layer, peer_id)
    except Exception:  # noqa: BLE001  # Whatever it is, the parcel is stored and its sender must hear so.
        _log.warning("hint_not_sent", private_peer_id=peer_id, exc_info=True)


class HintSender:
    """Sends hints over a layer that needs an event loop, from the one loop of a thread of its own.

    A loop per hint would mean a connection per hint. At most one hint per peer waits, so a broker that hangs
    costs no more memory than there are peers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, BaseChannelLayer] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._failing = False

    def submit(self, layer: BaseChannelLayer, peer_id: str) -> None:
        with self._lock:
            self._waiting[peer_id] = layer
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._run, args=(self._loop,), name="hints", daemon=True).start()
            self._loop.call_soon_threadsafe(self._wake.set)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(self._send_forever())

    async def _send_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while hint := self._take():
                await self._send(*hint)

    def _take(self) -> tuple[str, BaseChannelLayer] | None:
        """The hint that has waited longest. Taken off before it is sent: a later parcel needs another."""
        with self._lock:
            peer_id = next(iter(self._waiting), None)
            return None if peer_id is None else (peer_id, self._waiting.pop(peer_id))

    async def _send(self, peer_id: str, layer: BaseChannelLayer) -> None:
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await layer.group_send(collection_group(peer_id), PARCEL_STORED)
        except Exception:  # noqa: BLE001  # The thread outlives every failure of the broker.
            # One line per outage, not one per parcel.
            if not self._failing:
                _log.warning("hints_failing", private_peer_id=peer_id, exc_info=True)
            self._failing = True
        else:
            if self._failing:
                _log.info("hints_recovered")
            self._failing = False


hint_sender = HintSender()


def _replace_sender() -> None:
    """The child of a fork does not inherit the thread, so it needs a sender of its own."""
    global hint_sender  # noqa: PLW0603
    hint_sender = HintSender()


os.register_at_fork(after_in_child=_replace_sender)
