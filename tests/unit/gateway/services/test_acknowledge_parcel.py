from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import pytest
from django.db import transaction
from django.utils import timezone

from gateway.models import StoredParcel
from gateway.services import collect_parcels
from gateway.services.collect_parcels import acknowledge_parcel
from tests.unit.gateway.factories import make_stored_parcel

pytestmark = pytest.mark.django_db

Result = TypeVar("Result")


class GroupFailedError(Exception):
    pass


def commit_at_second_attempt(write: Callable[[], Result]) -> Result:
    """As a group commit does where another piece of work fails: the group is rolled back, and each done again."""
    with suppress(GroupFailedError), transaction.atomic():
        write()
        raise GroupFailedError
    with transaction.atomic():
        return write()


def test_acknowledgement_holds_though_its_group_was_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect_parcels, "commit_together", commit_at_second_attempt)
    parcel = make_stored_parcel()

    acknowledge_parcel(parcel, timezone.now())

    assert StoredParcel.objects.get().state == StoredParcel.State.COLLECTED
