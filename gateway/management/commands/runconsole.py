"""`manage.py runconsole`: one role in a process of its own, beside others on the same database."""

from django.conf import settings
from django.core.management.base import BaseCommand

from gateway.management.process import WaitForSignal, listen_console, require_set_up, serve, url


class Command(BaseCommand):
    help = "Runs the operators' console alone, which no public address may lead to."
    requires_system_checks = ()
    requires_migrations_checks = False

    def handle(self, *_args: object, **_options: object) -> None:
        require_set_up()
        server = listen_console()

        def announce() -> None:
            self.stdout.write(f"Console  {url(settings.CONSOLE_BIND, server.port)}")
            self.stdout.flush()

        serve(main=WaitForSignal(), threaded=[server], on_ready=announce)
