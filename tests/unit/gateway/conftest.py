"""Fixtures that every test of the domain may count on."""

from pathlib import Path

import pytest
from pytest_django import Settings

from gateway.storage import prepare_object_store


@pytest.fixture(autouse=True)
def object_store(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Path:
    """Keep the objects of each test in a folder of its own, beside its other files."""
    location = tmp_path_factory.mktemp("store") / "objects"
    settings.STORAGES = settings.STORAGES | {
        "default": {**settings.STORAGES["default"], "OPTIONS": {"location": location}}
    }
    prepare_object_store(has_objects=False)
    return location
