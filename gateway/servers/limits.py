"""What a public connection may send, and for how long."""

import ctypes
import resource
from contextlib import suppress

from awala.limits import MAX_HANDSHAKE_RESPONSE_SIZE, MAX_RAMF_MESSAGE_SIZE

MAX_REQUEST_BODY = MAX_RAMF_MESSAGE_SIZE
"""Octets; the largest message of any kind that a public port takes."""

MAX_REQUEST_HEADERS = 16 * 1024
"""Octets of the request line and all headers; the longest one of ours is a countersignature, about 4 KiB."""

MAX_WEBSOCKET_MESSAGE = MAX_HANDSHAKE_RESPONSE_SIZE
"""Octets; handshake responses with several RSA-4096 signatures fit ten times over."""

LARGE_BODY = 256 * 1024
"""Octets; bodies above this size take turns, so that many of them at once do not fill the memory."""

LARGE_BODIES_AT_ONCE = 2

IDLE_SECONDS = 30
"""A connection with nothing to do, or a client that sends nothing more of its request, is closed after this."""

HEADERS_SECONDS = 15
"""From the first octet of a request to the end of its headers."""

BODY_SECONDS = 600
"""From the first octet of a request to its last: the largest parcel at 112 kbit/s."""

LINGER_SECONDS = 3
"""How long the rest of a refused request is read and thrown away, so that its sender sees the answer."""

_WANTED_OPEN_FILES = 65_536
_M_MMAP_THRESHOLD = -3


def raise_open_files_limit() -> None:
    """Let the process hold as many connections as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def return_large_blocks() -> None:
    """Let the C library give large blocks back to the system as soon as they are free.

    glibc would keep those that it has seen freed before, in every thread that had any: hundreds of megabytes after
    a few parcels of 8 MiB. C libraries without this setting do no such thing.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BODY)
