"""The Django application of the PoWeb edge."""

from django.apps import AppConfig


class PoWebConfig(AppConfig):
    name = "poweb"
    verbose_name = "PoWeb"
