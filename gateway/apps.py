"""The Django application that holds the domain: models, services and console."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"
    verbose_name = "Internet gateway"

    def ready(self) -> None:
        # Channels makes a layer at its first use without a lock: two threads that came first together would
        # get a layer each, and hints sent through one would never reach collectors that listen on the other.
        from channels.layers import get_channel_layer

        get_channel_layer()
