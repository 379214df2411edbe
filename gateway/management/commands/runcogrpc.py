"""`manage.py runcogrpc`: one role in a process of its own, beside others on the same database."""

from django.conf import settings
from django.core.management.base import BaseCommand

from gateway.management.cogrpc import listen_cogrpc
from gateway.management.process import WaitForSignal, require_set_up, serve, url


class Command(BaseCommand):
    help = "Runs CogRPC alone: couriers bring and fetch cargo."
    requires_system_checks = ()
    requires_migrations_checks = False

    def handle(self, *_args: object, **_options: object) -> None:
        require_set_up()
        server = listen_cogrpc()

        def announce() -> None:
            self.stdout.write(f"CogRPC  {url(settings.COGRPC_BIND, server.port)}")
            self.stdout.flush()

        serve(main=WaitForSignal(), threaded=[server], on_ready=announce)
