"""Somebody signed in to the console, and rows of every kind for them to see."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from gateway.services.load_identity import forget_identity
from gateway.services.survey_record import forget_survey

PASSWORD = "a password of the tests"


@pytest.fixture(autouse=True)
def fresh_caches() -> Iterator[None]:
    """What one test counted, tried or loaded must not reach the next."""
    cache.clear()
    forget_survey()
    forget_identity()
    yield
    forget_identity()


@pytest.fixture
def superuser(db: None) -> User:
    return User.objects.create_superuser("admin", password=PASSWORD)


@pytest.fixture
def operator(superuser: User, client: Client) -> Client:
    client.force_login(superuser)
    return client
