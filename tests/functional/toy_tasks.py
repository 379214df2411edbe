"""Celery with tasks whose work shows from outside: `celery -A tests.functional.toy_tasks worker`.

Each leaves lines in the file that TOY_LOG names, so that tests see what was begun and what was ended, and by whom.
"""

import os
import time
from pathlib import Path

from gateway.celery import app

_LOG = Path(os.environ.get("TOY_LOG", os.devnull))


def _note(line: str) -> None:
    with _LOG.open("a") as log:
        log.write(f"{line} {os.getpid()}\n")


@app.task(name="tasks.crc.toy_note")
def note(argument: str) -> None:
    _note(f"done {argument}")


@app.task(name="tasks.crc.toy_sleep")
def sleep(argument: str) -> None:
    _note(f"begun {argument}")
    time.sleep(float(os.environ["TOY_SECONDS"]))
    _note(f"ended {argument}")
