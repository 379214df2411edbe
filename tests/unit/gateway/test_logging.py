import io
import json
import logging
import sys
import uuid
from collections.abc import Callable, Iterator

import pytest
import structlog
from django.conf import settings

from gateway.logging import configure_logging, withhold_octets

Configure = Callable[..., io.StringIO]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Configure logging with its lines going to the stream returned."""

    def with_options(log_format: str = "json", level: str = "info", stream: io.StringIO | None = None) -> io.StringIO:
        stream = stream or io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        configure_logging({"level": level, "format": log_format})
        return stream

    yield with_options
    monkeypatch.undo()
    configure_logging(settings.LOGGING)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail(private_key: str) -> None:
    raise ValueError(len(private_key))


def test_our_events_are_json(configure: Configure) -> None:
    stream = configure()
    parcel_id = uuid.uuid4()

    structlog.get_logger("gateway.tests").info("parcel_stored", parcel_id=parcel_id, size=3)

    (line,) = lines(stream)
    assert line.pop("timestamp")
    assert line == {
        "event": "parcel_stored",
        "level": "info",
        "logger": "gateway.tests",
        "parcel_id": str(parcel_id),
        "size": 3,
    }


def test_libraries_log_the_same_way(configure: Configure) -> None:
    stream = configure()

    logging.getLogger("waitress").warning("Task queue depth is %d", 7)

    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("Task queue depth is 7", "warning", "waitress")


@pytest.mark.parametrize("name", ["grpc", "grpc._cython.cygrpc", "grpc.aio._server"])
def test_grpc_prints_no_metadata(configure: Configure, name: str) -> None:
    stream = configure(level="debug")

    logging.getLogger(name).error("Exception in %s", "authorization: Relaynet-CCA c2VjcmV0")
    logging.getLogger(name).critical("authorization: Relaynet-CCA c2VjcmV0")

    assert not lines(stream)


def test_django_logs_once(configure: Configure) -> None:
    stream = configure()

    logging.getLogger("django.request").error("failed")
    logging.getLogger("django.server").error("failed")

    assert len(lines(stream)) == 2


def test_bound_context_is_included(configure: Configure) -> None:
    stream = configure()

    with structlog.contextvars.bound_contextvars(request_id="1"):
        structlog.get_logger("gateway.tests").info("a")
        logging.getLogger("gateway.tests").info("b")

    assert [line["request_id"] for line in lines(stream)] == ["1", "1"]


def test_levels_below_the_one_set_are_left_out(configure: Configure) -> None:
    stream = configure(level="warning")

    structlog.get_logger("gateway.tests").info("quiet")
    structlog.get_logger("gateway.tests").warning("loud")

    assert [line["event"] for line in lines(stream)] == ["loud"]


@pytest.mark.parametrize(("level", "expected"), [("info", []), ("error", []), ("debug", [])])
def test_chatter_of_libraries_is_left_out(level: str, expected: list[object], configure: Configure) -> None:
    stream = configure(level=level)

    logging.getLogger("httpx").info("HTTP Request: POST")

    assert lines(stream) == expected


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("value", [b"hunter2", bytearray(b"hunter2"), [b"hunter2"], {"a": (b"hunter2",)}])
def test_octets_are_never_logged(value: object, log_format: str, configure: Configure) -> None:
    stream = configure(log_format)

    structlog.get_logger("gateway.tests").info("event", value=value)

    assert "7 octets" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_tracebacks_show_no_variables(log_format: str, configure: Configure) -> None:
    stream = configure(log_format)
    try:
        fail(bytes.fromhex("68756e74657232").decode())
    except ValueError:
        structlog.get_logger("gateway.tests").exception("failed")
        logging.getLogger("gateway.tests").exception("failed")

    assert "ValueError" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_each_json_line_stands_alone(configure: Configure) -> None:
    stream = configure()

    structlog.get_logger("gateway.tests").info("event", value="two\nlines")

    assert len(stream.getvalue().splitlines()) == 1


def test_terminals_get_readable_lines(configure: Configure) -> None:
    stream = configure("", stream=Terminal())

    structlog.get_logger("gateway.tests").info("parcel_stored")

    assert not stream.getvalue().startswith("{")
    assert "parcel_stored" in stream.getvalue()


def test_other_outputs_get_json(configure: Configure) -> None:
    stream = configure("")

    structlog.get_logger("gateway.tests").info("parcel_stored")

    assert lines(stream)


def test_other_values_pass() -> None:
    assert withhold_octets(None, "info", {"a": 1, "b": "text"}) == {"a": 1, "b": "text"}
