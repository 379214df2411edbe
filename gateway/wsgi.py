"""The WSGI applications: one Django behind all of them, told which edge each request came in by."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
_django = get_wsgi_application()

from gateway.servers.wsgi import EdgeApplication

poweb_application = EdgeApplication(_django, edge="poweb")
pohttp_application = EdgeApplication(_django, edge="pohttp")
console_application = EdgeApplication(_django, edge="console")

# What Django's own commands serve.
application = console_application
