"""Runs services in threads that live long: each piece of work on a database connection that works."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def do_unit_of_work(
    service: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """Call the service; what it left of a connection that broke or is too old is closed, before and after."""
    close_old_connections()
    try:
        return service(*args, **kwargs)
    finally:
        close_old_connections()
