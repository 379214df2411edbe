"""`manage.py runworker`: one role in a process of its own, beside others on the same database and broker."""

import argparse

from django.core.management.base import BaseCommand, CommandParser

from gateway.celery import QUEUES
from gateway.management.process import WaitForSignal, require_set_up, serve
from gateway.servers.worker import Worker


class Command(BaseCommand):
    help = "Runs a worker alone: it unwraps cargo, delivers parcels to the Internet, and does the upkeep."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--queues",
            type=_queues,
            default=QUEUES,
            metavar="QUEUE,...",
            help=f"take tasks of these queues alone; all of them are {','.join(QUEUES)}",
        )
        parser.add_argument(
            "--beat",
            action="store_true",
            help="also send what is due regularly; some process has to, and several do no harm",
        )

    def handle(self, *_args: object, queues: tuple[str, ...], beat: bool, **_options: object) -> None:
        require_set_up()

        def announce() -> None:
            self.stdout.write(f"Worker  {', '.join(queues)}{', with the schedule' if beat else ''}")
            self.stdout.flush()

        serve(main=WaitForSignal(), threaded=[Worker(queues=queues, with_beat=beat)], on_ready=announce)


def _queues(text: str) -> tuple[str, ...]:
    queues = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not queues or not set(queues) <= set(QUEUES):
        raise argparse.ArgumentTypeError(f"must be some of {','.join(QUEUES)}, with commas between")
    return queues
