"""How to reach this gateway, as published in ``connection-params.der`` (RS-000)."""

from datetime import datetime

from awala.connection_params import NodeConnectionParams
from awala.pki.keys import spki_der
from awala.session_key import SessionKey
from gateway.errors import KeyUnavailableError
from gateway.keystores import get_keystore
from gateway.services.load_identity import load_identity


def describe_connection(now: datetime) -> bytes:
    """The serialised NodeConnectionParams, with the latest session key that serves every peer."""
    identity = load_identity(now)
    entry = get_keystore().find_latest_unbound_session_key(identity.node_id)
    if entry is None:
        raise KeyUnavailableError("the gateway has no initial session key")
    return NodeConnectionParams(
        internet_address=identity.internet_address,
        identity_key_der=spki_der(identity.private_key.public_key()),
        session_key=SessionKey(key_id=entry.key_id, public_key_der=spki_der(entry.private_key.public_key())),
    ).serialize()
