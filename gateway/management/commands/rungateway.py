"""`manage.py rungateway`: the whole gateway in one process."""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from gateway.errors import GatewayError
from gateway.first_start import ADMINISTRATOR, NewAdministrator, password_file, set_up
from gateway.instance_lock import AlreadyRunningError, InstanceLock
from gateway.management.cogrpc import listen_cogrpc
from gateway.management.poweb import listen_poweb
from gateway.management.process import listen_console, listen_pohttp, serve, url
from gateway.servers.worker import Worker
from gateway.services.sweep import release_leases


class Command(BaseCommand):
    help = (
        "Runs the whole gateway in one process: PoWeb, PoHTTP, CogRPC, the console, and the worker with its schedule. "
        "Sets up what is missing."
    )
    requires_system_checks = ()
    requires_migrations_checks = False

    def handle(self, *_args: object, **_options: object) -> None:
        try:
            with InstanceLock(settings.DATA_DIR):
                self._run()
        except AlreadyRunningError as exc:
            raise CommandError(str(exc)) from exc

    def _run(self) -> None:
        # The ports come first: one that is taken must stop the start before anything is changed.
        poweb, pohttp, cogrpc, console = listen_poweb(), listen_pohttp(), listen_cogrpc(), listen_console()
        try:
            administrator = set_up()
            if settings.ALL_IN_ONE:
                # Nobody else works on this database, so leases are those of a process that has died.
                release_leases(timezone.now())
        except (DatabaseError, GatewayError) as exc:
            raise CommandError(f"The gateway cannot be set up: {exc}") from exc

        def announce() -> None:
            self.stdout.write(f"PoWeb    {url(settings.POWEB_BIND, poweb.port)}")
            self.stdout.write(f"PoHTTP   {url(settings.POHTTP_BIND, pohttp.port)}")
            self.stdout.write(f"CogRPC   {url(settings.COGRPC_BIND, cogrpc.port)}")
            self.stdout.write(f"Console  {url(settings.CONSOLE_BIND, console.port, '/admin/')}")
            self._say_how_to_sign_in(administrator)
            self.stdout.write("The gateway is ready; Ctrl+C stops it.")
            self.stdout.flush()

        serve(main=poweb, threaded=[pohttp, cogrpc, console, Worker(with_beat=True)], on_ready=announce)
        self.stdout.write("The gateway has stopped.")

    def _say_how_to_sign_in(self, administrator: NewAdministrator | None) -> None:
        if administrator:
            self.stdout.write(f"Sign in as {administrator.name} with the password {administrator.password}")
            self.stdout.write(f"It is shown this once, and kept in {administrator.password_file}")
        elif password_file().exists():
            self.stdout.write(f"Sign in as {ADMINISTRATOR}; the first password is in {password_file()}")
