"""The one client by which a process delivers parcels to the Internet, as the settings say."""

import os
import threading

from django.conf import settings

from awala.clients.delivery import ParcelDeliverer

# Idle connections that are kept, for each delivery at a time: busy destinations take turns.
_CONNECTIONS_PER_THREAD = 4

_lock = threading.Lock()
_deliverer: ParcelDeliverer | None = None


def get_deliverer() -> ParcelDeliverer:
    """Return this process's client; made when first asked for."""
    global _deliverer  # noqa: PLW0603 - one per process is the point.
    with _lock:
        if _deliverer is None:
            _deliverer = _make_deliverer()
        return _deliverer


def close_deliverer() -> None:
    """Close the client's connections, for tests; whoever asks next gets a new one.

    A worker does not need it: deliveries are over when it stops, and idle connections end with its process.
    """
    global _deliverer
    with _lock:
        closing, _deliverer = _deliverer, None
    if closing:
        closing.close()


def _make_deliverer() -> ParcelDeliverer:
    return ParcelDeliverer(
        resolver_url=settings.DOH_RESOLVER_URL,
        use_tls=settings.POHTTP_USE_TLS,
        timeout_seconds=settings.DELIVERY_TIMEOUT_SECONDS,
        overrides=settings.INTERNET_ADDRESS_OVERRIDES,
        allowed_networks=settings.DELIVERY_ALLOWED_NETWORKS,
        max_connections=_CONNECTIONS_PER_THREAD * settings.DELIVERY_THREADS,
    )


def _forget_after_fork() -> None:
    """Two processes that wrote to one connection would break each other's requests."""
    global _deliverer, _lock
    _deliverer, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
