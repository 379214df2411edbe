"""Where the gateway's private keys are kept; `get_keystore()` gives the store that the settings name."""

from gateway.keystores.base import KeyStore, SessionKeyEntry
from gateway.keystores.factory import get_keystore

__all__ = ["KeyStore", "SessionKeyEntry", "get_keystore"]
