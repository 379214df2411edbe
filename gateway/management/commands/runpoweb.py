"""`manage.py runpoweb`: one role in a process of its own, beside others on the same database."""

from django.conf import settings
from django.core.management.base import BaseCommand

from gateway.management.poweb import listen_poweb
from gateway.management.process import require_set_up, serve, url


class Command(BaseCommand):
    help = "Runs PoWeb alone: registration, delivery and collection by private gateways."
    requires_system_checks = ()
    requires_migrations_checks = False

    def handle(self, *_args: object, **_options: object) -> None:
        require_set_up()
        server = listen_poweb()

        def announce() -> None:
            self.stdout.write(f"PoWeb  {url(settings.POWEB_BIND, server.port)}")
            self.stdout.flush()

        serve(main=server, threaded=[], on_ready=announce)
