"""A channel layer for one process in which any thread may send: hints from request threads to event loops.

The in-memory layer of Channels neither wakes a loop from another thread nor stays cheap with thousands of idle
channels. Messages here are hints, which may be lost: a group message passes by members whose mailbox is full.
"""

import asyncio
import threading
import time
import uuid
from typing import Any

from channels.exceptions import ChannelFull
from channels.layers import BaseChannelLayer

Message = dict[str, Any]


class _Mailbox:
    """What one channel holds: messages with the time they came, those who wait for one, and its groups."""

    __slots__ = ("groups", "messages", "waiters")

    def __init__(self) -> None:
        self.messages: list[tuple[float, Message]] = []
        self.waiters: list[asyncio.Future[None]] = []
        self.groups: set[str] = set()


class InProcessChannelLayer(BaseChannelLayer):
    """Groups and channels behind one lock, which is never held while anything waits."""

    extensions = ("groups", "flush")

    def __init__(self, *, expiry: int = 60, capacity: int = 100) -> None:
        super().__init__(expiry=expiry, capacity=capacity)
        self._lock = threading.Lock()
        self._mailboxes: dict[str, _Mailbox] = {}
        self._groups: dict[str, set[str]] = {}

    async def new_channel(self, prefix: str = "specific.") -> str:
        return f"{prefix}.inprocess!{uuid.uuid4().hex}"

    async def send(self, channel: str, message: Message) -> None:
        self.require_valid_channel_name(channel)
        with self._lock:
            if not self._deposit(channel, message):
                raise ChannelFull

    async def receive(self, channel: str) -> Message:
        self.require_valid_channel_name(channel)
        while True:
            waiter = asyncio.get_running_loop().create_future()
            with self._lock:
                mailbox = self._mailboxes.setdefault(channel, _Mailbox())
                if mailbox.messages:
                    _, message = mailbox.messages.pop(0)
                    self._forget_if_idle(channel)
                    return message
                mailbox.waiters.append(waiter)
            try:
                await waiter
            finally:
                with self._lock:
                    # The deposit that wakes a waiter has taken it off the list already.
                    if waiter in mailbox.waiters:
                        mailbox.waiters.remove(waiter)
                    self._forget_if_idle(channel)

    async def group_add(self, group: str, channel: str) -> None:
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        with self._lock:
            self._groups.setdefault(group, set()).add(channel)
            self._mailboxes.setdefault(channel, _Mailbox()).groups.add(group)

    async def group_discard(self, group: str, channel: str) -> None:
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        with self._lock:
            self._leave(group, channel)
            if channel in self._mailboxes:
                self._mailboxes[channel].groups.discard(group)
                self._forget_if_idle(channel)

    async def group_send(self, group: str, message: Message) -> None:
        self.group_send_threadsafe(group, message)

    def group_send_threadsafe(self, group: str, message: Message) -> None:
        """Send to a group from any thread, whether or not it runs an event loop."""
        self.require_valid_group_name(group)
        with self._lock:
            for channel in tuple(self._groups.get(group, ())):
                self._deposit(channel, message)

    async def flush(self) -> None:
        with self._lock:
            self._mailboxes.clear()
            self._groups.clear()

    def _deposit(self, channel: str, message: Message) -> bool:
        """Leave the message and wake one waiter; False where the mailbox is full."""
        mailbox = self._mailboxes.setdefault(channel, _Mailbox())
        now = time.monotonic()
        if len(mailbox.messages) >= self.capacity:
            # Nobody has read for long: its owner ended without leaving its groups.
            if now - mailbox.messages[0][0] > self.expiry:
                self._forget(channel)
            return False
        mailbox.messages.append((now, dict(message)))
        while mailbox.waiters and not _wake(mailbox.waiters.pop(0)):
            pass
        return True

    def _leave(self, group: str, channel: str) -> None:
        members = self._groups.get(group, set())
        members.discard(channel)
        if not members:
            self._groups.pop(group, None)

    def _forget(self, channel: str) -> None:
        for group in self._mailboxes.pop(channel, _Mailbox()).groups:
            self._leave(group, channel)

    def _forget_if_idle(self, channel: str) -> None:
        mailbox = self._mailboxes.get(channel)
        if mailbox and not (mailbox.messages or mailbox.waiters or mailbox.groups):
            del self._mailboxes[channel]


def _wake(waiter: asyncio.Future[None]) -> bool:
    """Let the waiter's own loop continue it; False where that loop has ended."""
    try:
        waiter.get_loop().call_soon_threadsafe(_finish, waiter)
    except RuntimeError:
        return False
    return True


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
