"""What the tests of the edges have in common."""

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import TypeVar

import awala
import gateway
from awala.errors import InvalidMessageError
from gateway.errors import (
    CollectionRefusedError,
    CollectionUnderWayError,
    GatewayError,
    ObjectMissingError,
    UnsafeSettingError,
)
from gateway.instance_lock import AlreadyRunningError

ErrorType = TypeVar("ErrorType", bound=Exception)

# These never reach an edge: two stop the start, and one is answered where objects are read, in the collection. And
# two reach CogRPC alone.
_ELSEWHERE = {
    UnsafeSettingError,
    AlreadyRunningError,
    ObjectMissingError,
    CollectionRefusedError,
    CollectionUnderWayError,
}


def message_errors() -> set[type[InvalidMessageError]]:
    """Every class of error that says what is wrong with a peer's message."""
    _import_all(awala)
    return {InvalidMessageError, *_subclasses(InvalidMessageError)}


def gateway_errors() -> set[type[Exception]]:
    """Every class of the gateway's own errors that something raises while it serves."""
    _import_all(gateway)
    found: set[type[Exception]] = {*_subclasses(GatewayError)}
    return found - _ELSEWHERE


def _subclasses(error_class: type[ErrorType]) -> Iterator[type[ErrorType]]:
    for subclass in error_class.__subclasses__():
        # Tests may have classes of their own, and the probe is a client. What is private is caught where it is raised.
        if not subclass.__name__.startswith("_") and not subclass.__module__.startswith(("tests.", "gateway.probe.")):
            yield subclass
            yield from _subclasses(subclass)


def _import_all(package: ModuleType) -> None:
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        # Commands and servers are imported by whoever runs them, and wait for that.
        if ".management" not in module.name and not module.name.endswith((".daphne", ".asgi")):
            importlib.import_module(module.name)
