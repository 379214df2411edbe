"""What the tests of cargo collection have in common: a private gateway that is known, and its CCAs."""

from datetime import datetime, timedelta
from typing import Any

from awala.pki.certificate import Certificate
from awala.session_key import SessionKey, generate_session_key
from gateway.keystores import get_keystore
from tests import cargo_factories, factories
from tests.cargo_factories import MadeMessage
from tests.factories import NOW


def make_session_key(root: Certificate, peer_id: str | None = None) -> SessionKey:
    """A session key of the gateway's, bound to the peer or to none."""
    session_key, private_key = generate_session_key()
    get_keystore().save_session_key(session_key.key_id, private_key, root.node_id, peer_id)
    return session_key


def certify(
    root: Certificate, name: str = "private gateway", *, not_after: datetime = factories.NOT_AFTER
) -> Certificate:
    return factories.gateway_certificate(name, issuer=root, not_after=not_after)


def make_cca(root: Certificate, **fields: Any) -> MadeMessage:
    sender = fields.pop("sender", None) or certify(root)
    session_key = fields.pop("session_key", None) or make_session_key(root, sender.node_id)
    defaults = {"creation_date": NOW - timedelta(minutes=90)}
    return cargo_factories.make_cca(
        sender=sender, gateway=fields.pop("gateway", root), session_key=session_key, **defaults | fields
    )
