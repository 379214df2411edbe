"""Log lines as constant event names with keyword fields, from our own code and from the libraries alike.

Nothing that a peer sent is ever logged: octets are shown by their number alone, and tracebacks show no variables.
"""

import logging.config
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def configure_logging(options: Mapping[str, str]) -> None:
    """Send structlog and the standard library's loggers to stderr; `options` holds `level` and `format`.

    The format is `json` or `console`; empty means `console` at a terminal.
    """
    as_json = (options["format"] or ("console" if sys.stderr.isatty() else "json")) == "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        withhold_octets,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(_standard_library(options["level"].upper(), shared, _renderers(as_json=as_json)))


def withhold_octets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace octets by their number: a payload or a key that strays into a log line goes no further."""
    return {key: _describe(value) for key, value in event.items()}


def _describe(value: object) -> object:
    match value:
        case bytes() | bytearray() | memoryview():
            return f"<{len(value)} octets>"
        case dict():
            return {key: _describe(item) for key, item in value.items()}
        case list() | tuple():
            return [_describe(item) for item in value]
        case _:
            return value


def _renderers(*, as_json: bool) -> list[Processor]:
    if as_json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    # The formatters that structlog chooses by itself print the local variables of each frame, keys among them.
    return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]


def _standard_library(level: str, shared: list[Processor], renderers: list[Processor]) -> dict[str, Any]:
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
            },
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "structured", "stream": "ext://sys.stderr"},
            "nowhere": {"class": "logging.NullHandler"},
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django's own configuration gives these handlers of their own.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
            # These describe every request, every frame, every task and every wait.
            **{name: {"level": _at_least(level, "WARNING")} for name in _CHATTY},
            # What gRPC says of calls that it cannot make sense of has metadata in it, and so authorisations.
            "grpc": {"level": "CRITICAL", "handlers": ["nowhere"], "propagate": False},
        },
    }


_CHATTY = (
    "asyncio",
    "celery.app.trace",
    "celery.worker.strategy",
    "daphne.http_protocol",
    "daphne.ws_protocol",
    "httpcore",
    "httpx",
    "waitress.queue",
)


def _at_least(level: str, floor: str) -> str:
    numbers = logging.getLevelNamesMapping()
    return level if numbers[level] > numbers[floor] else floor
