"""`manage.py probe`: plays devices and the Internet against a running gateway, and shows each step."""

import argparse
from typing import TextIO, cast
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console

from awala.errors import InvalidArgumentError
from gateway.probe.advice import advise
from gateway.probe.pong_server import PongPortError
from gateway.probe.report import TimelinePrinter, encode_json
from gateway.probe.scenario import probe
from gateway.probe.steps import StepFailedError, Timeline
from gateway.probe.target import PongPlace, Target

_PONG_BIND = "127.0.0.1:8083"


class Command(BaseCommand):
    help = (
        "Checks a running gateway, this or any other: simulated devices register, send each other parcels and collect "
        "them, online and by courier; with --pong one pings an endpoint on the Internet, which answers. Ends with "
        "status 1 at the first step that fails. What it leaves behind are two registered devices and what the gateway "
        "remembers of them, and parcels only where it failed, for a quarter of an hour."
    )
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--poweb", metavar="URL", help="root of its PoWeb server (here: %(default)s)")
        parser.add_argument("--pohttp", metavar="URL", help="its PoHTTP server (here: %(default)s)")
        parser.add_argument("--cogrpc", metavar="URL", help="its CogRPC server (here: %(default)s)")
        parser.set_defaults(
            poweb=f"http://{settings.POWEB_BIND}",
            pohttp=f"http://{settings.POHTTP_BIND}",
            cogrpc=f"http://{settings.COGRPC_BIND}",
        )
        parser.add_argument(
            "--pong",
            metavar="ADDRESS",
            help="an Internet address that leads the gateway to this probe, which then plays an endpoint that is "
            "pinged; without it no ping is sent",
        )
        parser.add_argument(
            "--pong-bind",
            type=_host_and_port,
            default=_PONG_BIND,
            metavar="HOST:PORT",
            help=f"where that endpoint listens, without TLS ({_PONG_BIND})",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document instead of the timeline")
        parser.add_argument(
            "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="for each exchange (%(default)g)"
        )

    def handle(
        self,
        *_args: object,
        poweb: str,
        pohttp: str,
        cogrpc: str,
        pong: str | None,
        pong_bind: tuple[str, int],
        timeout: float,
        json: bool,
        no_color: bool,
        force_color: bool,
        **_options: object,
    ) -> None:
        try:
            target = Target(
                poweb_url=poweb,
                pohttp_url=pohttp,
                cogrpc_url=cogrpc,
                pong=PongPlace(internet_address=pong, host=pong_bind[0], port=pong_bind[1]) if pong else None,
                timeout_seconds=timeout,
            )
            if json:
                self._probe_as_json(target)
            else:
                # None leaves it to the terminal.
                coloured = force_color or None
                console = Console(file=cast("TextIO", self.stdout), no_color=no_color, force_terminal=coloured)
                self._probe_as_timeline(target, TimelinePrinter(console))
        except (InvalidArgumentError, PongPortError) as error:
            raise CommandError(str(error)) from error

    def _probe_as_timeline(self, target: Target, printer: TimelinePrinter) -> None:
        timeline = Timeline(report=printer.step)
        printer.begin(target)
        try:
            probe(target, timeline)
        except StepFailedError as error:
            raise _failure(error) from error
        finally:
            printer.end(timeline.steps, timeline.elapsed_seconds)

    def _probe_as_json(self, target: Target) -> None:
        timeline = Timeline(report=lambda _: None)
        failed: StepFailedError | None = None
        try:
            probe(target, timeline)
        except StepFailedError as error:
            failed = error
        document = encode_json(target, timeline.steps, timeline.elapsed_seconds, str(failed) if failed else None)
        self.stdout.write(document)
        if failed:
            raise _failure(failed) from failed


def _failure(error: StepFailedError) -> CommandError:
    return CommandError(f"The probe failed. {error}\n{advise(error.__cause__)}", returncode=1)


def _host_and_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or not port or parts.netloc != text or parts.username is not None:
        raise argparse.ArgumentTypeError(f"must be host:port, as in {_PONG_BIND}")
    return parts.hostname, port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("must be more than nothing")
    return seconds
