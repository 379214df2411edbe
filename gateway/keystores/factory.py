"""Makes the key store that the settings name."""

from django.conf import settings

from gateway.keystores.base import KeyStore
from gateway.keystores.database import DatabaseKeyStore


def get_keystore() -> KeyStore:
    # The other adapters come with a later release; gateway/env.py refuses their names until then.
    return DatabaseKeyStore(settings.KEYSTORE_KEY)
