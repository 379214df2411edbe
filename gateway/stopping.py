"""Whether this process is about to end, for work that goes on for as long as there is some."""

import threading

_told = threading.Event()


def note_stop() -> None:
    _told.set()


def is_stopping() -> bool:
    """Whether to take up nothing new: what is left is done after the next start, or by others."""
    return _told.is_set()
