"""A Celery worker in threads beside the servers of a process, and with it the clock that sends what is due regularly.

Celery's own command installs signal handlers and wants the main thread; what it builds upon does neither. Its threads
import Celery themselves, since that takes long and the servers beside it need not wait for it.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence

import structlog

from gateway import stopping
from gateway.import_lock import CELERY_IMPORTS

_log = structlog.get_logger(__name__)

# How long a worker without tasks may take to stop, before nobody waits for it any longer: it has nothing to lose.
_IDLE_SECONDS = 0.3
_LOOK_SECONDS = 0.02
_NOT_TOLD = float("inf")


class Worker:
    """Takes tasks until it is told to stop, and then ends those that run. A process has one at most."""

    def __init__(self, *, queues: Sequence[str] = (), with_beat: bool) -> None:
        """No queues means all of them."""
        self._queues = tuple(queues)
        self._with_beat = with_beat
        self._is_ready = threading.Event()
        # Unlike an Event, it may be told from within a signal handler.
        self._told: queue.SimpleQueue[float] = queue.SimpleQueue()
        self._give_up_at = _NOT_TOLD
        self._worker = threading.Thread(target=_run, args=(self._take_tasks,), name="worker", daemon=True)
        self._clock = threading.Thread(target=_run, args=(self._keep_time,), name="beat", daemon=True)

    def start(self) -> None:
        self._worker.start()
        self._clock.start()

    def wait_until_ready(self, timeout: float) -> bool:
        """Until it takes tasks; False once the time is up."""
        return self._is_ready.wait(timeout)

    def stop(self, seconds: float) -> None:
        """Take no more tasks, and wait for those that run for as long at most.

        Returns at once, and may be called in a signal handler; `join` waits until it is done.
        """
        self._told.put(time.monotonic() + seconds)

    def join(self) -> None:
        from celery.worker import state  # noqa: PLC0415

        self._clock.join()
        idle_until = time.monotonic() + _IDLE_SECONDS
        while self._worker.is_alive():
            if time.monotonic() > (self._give_up_at if len(state.reserved_requests) else idle_until):
                break
            self._worker.join(_LOOK_SECONDS)

    def _take_tasks(self) -> None:
        with CELERY_IMPORTS:
            from celery.app.trace import setup_worker_optimizations  # noqa: PLC0415
            from celery.worker import WorkController  # noqa: PLC0415

            from gateway.celery import QUEUES, app, concurrency_of  # noqa: PLC0415

        queues = self._queues or QUEUES
        # As Celery's command does it; otherwise each task takes twice as long to hand over.
        setup_worker_optimizations(app)
        controller = WorkController(
            app=app,
            queues=queues,
            concurrency=concurrency_of(queues),
            ready_callback=lambda _: self._is_ready.set(),
            pool="threads",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        controller.start()

    def _keep_time(self) -> None:
        with CELERY_IMPORTS:
            from celery.worker import state  # noqa: PLC0415

            from gateway.broker import broker  # noqa: PLC0415
            from gateway.celery import app  # noqa: PLC0415
            from gateway.scheduler import Scheduler  # noqa: PLC0415

        scheduler = Scheduler(app) if self._with_beat else None
        while self._give_up_at == _NOT_TOLD:
            # Negative when the schedule is late, as on a machine that is busy.
            timeout = max(scheduler.tick(), 0) if scheduler else None
            try:
                self._give_up_at = self._told.get(timeout=timeout)
            except queue.Empty:
                continue
        stopping.note_stop()
        # Celery's own way to be told, which it looks at between tasks and while it waits for the broker.
        state.should_stop = os.EX_OK  # type: ignore[assignment]
        broker.wake()


def _run(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:  # noqa: BLE001  # What follows is the same for all.
        _log.exception("worker_failed")
    if not stopping.is_stopping():
        # Half a gateway looks alive, and nobody would do its work. All of it may die at any instant.
        _log.error("worker_ended", thread=threading.current_thread().name)
        os._exit(os.EX_SOFTWARE)
