"""The Django application of the PoHTTP edge."""

from django.apps import AppConfig


class PoHTTPConfig(AppConfig):
    name = "pohttp"
    verbose_name = "PoHTTP"
