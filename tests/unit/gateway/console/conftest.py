"""A gateway that was set up, and nothing left over from other tests."""

from collections.abc import Iterator

import pytest

from gateway.services.ensure_identity import ensure_identity
from gateway.services.load_identity import forget_identity
from gateway.services.survey_record import forget_survey


@pytest.fixture(autouse=True)
def identity(transactional_db: None) -> Iterator[None]:
    """Committed, since checks and counts read the database in threads of their own."""
    forget_survey()
    ensure_identity()
    yield
    forget_identity()
    forget_survey()
