"""Imports Celery in one thread at a time.

Its modules and Kombu's import each other in circles. Threads that enter such a circle at different places wait for
each other, which Python ends with an error in one of them, or see modules that are half made.
"""

import threading
from importlib import import_module
from typing import Final

import_lock: Final = threading.Lock()

# What the worker, its schedule and publishers use, and what Celery itself imports only when it is first asked for it.
_MODULES: Final = (
    "gateway.publisher",
    "gateway.scheduler",
    "celery.app.trace",
    "celery.concurrency.thread",
    "celery.worker",
    "celery.worker.components",
    "celery.worker.consumer",
)


def import_celery() -> None:
    """Return once all of Celery that is used here is imported; to be called before any of it is, from any thread."""
    with import_lock:
        for name in _MODULES:
            import_module(name)
