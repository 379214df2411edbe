"""`manage.py setupgateway`: what comes before the roles run apart."""

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from gateway.errors import GatewayError
from gateway.first_start import set_up


class Command(BaseCommand):
    help = "Brings the database up to date and makes the identity and the administrator, where they are missing."
    requires_system_checks = ()
    requires_migrations_checks = False

    def handle(self, *_args: object, **_options: object) -> None:
        try:
            administrator = set_up()
        except (DatabaseError, GatewayError) as exc:
            raise CommandError(f"The gateway cannot be set up: {exc}") from exc
        if administrator:
            self.stdout.write(f"Sign in as {administrator.name} with the password {administrator.password}")
            self.stdout.write(f"It is shown this once, and kept in {administrator.password_file}")
        self.stdout.write("The gateway is set up.")
