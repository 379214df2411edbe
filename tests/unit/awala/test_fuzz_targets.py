"""The fuzz targets run on what they begin with, so that none breaks between two long runs."""

import contextlib
import importlib

import pytest

from awala.errors import InvalidMessageError
from tests.fuzz.targets import TARGETS


def test_every_target_is_listed() -> None:
    assert {"ber", "parcel", "certificate", "registration_request", "handshake_response"} <= set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_takes_its_seeds(name: str) -> None:
    module = importlib.import_module(f"tests.fuzz.fuzz_{name}")
    for octets in module.seeds():
        with contextlib.suppress(InvalidMessageError):
            module.target(octets)
