import pytest
from django.core.management.base import CommandError

from gateway.celery import QUEUES
from gateway.management.commands.runworker import Command


def read(*arguments: str) -> tuple[str, ...]:
    options = Command().create_parser("manage.py", "runworker").parse_args([*arguments])
    queues: tuple[str, ...] = options.queues
    return queues


def test_every_queue_is_served_unless_some_are_named() -> None:
    assert read() == QUEUES


def test_queues_are_named_with_commas_between() -> None:
    assert read("--queues", "crc, maintenance,crc") == ("crc", "maintenance")


@pytest.mark.parametrize("text", ["nowhere", "crc,nowhere", "", " , "])
def test_unknown_queues_are_refused(text: str) -> None:
    parser = Command().create_parser("manage.py", "runworker")
    parser.called_from_command_line = False

    with pytest.raises(CommandError, match="must be some of crc,pdc,maintenance"):
        parser.parse_args(["--queues", text])
