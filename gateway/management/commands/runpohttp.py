"""`manage.py runpohttp`: one role in a process of its own, beside others on the same database."""

from django.conf import settings
from django.core.management.base import BaseCommand

from gateway.management.process import WaitForSignal, listen_pohttp, require_set_up, serve, url


class Command(BaseCommand):
    help = "Runs PoHTTP alone: the intake of parcels from the Internet."
    requires_system_checks = ()
    requires_migrations_checks = False

    def handle(self, *_args: object, **_options: object) -> None:
        require_set_up()
        server = listen_pohttp()

        def announce() -> None:
            self.stdout.write(f"PoHTTP  {url(settings.POHTTP_BIND, server.port)}")
            self.stdout.flush()

        serve(main=WaitForSignal(), threaded=[server], on_ready=announce)
