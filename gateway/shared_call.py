"""Calls that may hang, made in a thread so that whoever asks can stop waiting."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, ParamSpec, TypeVar

from django.db import connections

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class SharedCall(Generic[Parameters, Result]):
    """Runs a function at most once at a time; who asks while it runs shares the outcome.

    So a function that hangs costs one thread, however often it is asked for. The thread opens database connections
    of its own and closes them, and it keeps no process from ending.
    """

    def __init__(self, function: Callable[Parameters, Result]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._future: Future[Result] | None = None

    def start(self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> "Future[Result]":
        with self._lock:
            if self._future is None or self._future.done():
                self._future = Future()
                work = (self._future, *args)
                threading.Thread(target=self._run, args=work, kwargs=kwargs, name="shared-call", daemon=True).start()
            return self._future

    def _run(self, future: "Future[Result]", *args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            result = self._function(*args, **kwargs)
        except BaseException as exc:  # noqa: BLE001 - handed on to those who wait
            connections.close_all()
            future.set_exception(exc)
        else:
            connections.close_all()
            future.set_result(result)
