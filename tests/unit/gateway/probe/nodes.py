"""Nodes of the probe that need no gateway: the registration is made here."""

from datetime import UTC, datetime

from awala.registration import Registration
from gateway.probe.nodes import PrivateEndpoint, PrivateGateway
from gateway.probe.session_keys import SessionKeys
from tests import factories


def now() -> datetime:
    return datetime.now(UTC)


def register(session_keys: SessionKeys, owner: str = "private gateway") -> PrivateGateway:
    """A private gateway that has one of these keys as its gateway's."""
    gateway = factories.gateway_certificate()
    session_key = session_keys.generate()
    return PrivateGateway(
        private_key=factories.rsa_key(owner),
        registration=Registration(
            node_certificate=factories.gateway_certificate(owner, issuer=gateway),
            gateway_certificate=gateway,
            gateway_internet_address="gateway.example.com",
            session_key=session_key,
        ),
        session_key=session_key,
    )


def make_endpoint(owner: str = "endpoint") -> PrivateEndpoint:
    return register(SessionKeys()).certify_endpoint(factories.rsa_key(owner))
