"""Identities that the gateway under test may have."""

from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from pytest_django import Settings

from awala.pki.certificate import Certificate
from gateway.keystores import get_keystore
from gateway.models import OwnCertificate
from gateway.services.load_identity import forget_identity
from tests import factories, published_vectors


@pytest.fixture
def identity(transactional_db: None) -> Iterator[Certificate]:
    """The usual gateway of tests/factories.py."""
    certificate = factories.gateway_certificate()
    _assume(certificate, factories.rsa_key("gateway"))
    yield certificate
    forget_identity()


@pytest.fixture
def vector_identity(transactional_db: None, settings: Settings) -> Iterator[Certificate]:
    """The gateway that the published vectors were made for."""
    settings.INTERNET_ADDRESS = "gateway.example"
    certificate = published_vectors.certificate("internet_gateway")
    _assume(certificate, published_vectors.rsa_private_key("internet_gateway"))
    yield certificate
    forget_identity()


def _assume(certificate: Certificate, private_key: RSAPrivateKey) -> None:
    forget_identity()
    OwnCertificate.objects.create(
        sequence=1,
        node_id=certificate.node_id,
        certificate_der=certificate.der,
        starts_at=certificate.not_before,
        expires_at=certificate.not_after,
    )
    get_keystore().save_identity_key(certificate.node_id, private_key)
