"""Sees to it that each collection authorisation (CCA) is used once: by one call at a time, and by none after that.

What survives a crash at each step: the claim is on record before any cargo leaves, so that no other call can begin;
when it has run out, the next call with that CCA takes it over and sends everything again, which nobody minds.
"""

from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import IntegrityError

from gateway.errors import CollectionRefusedError, CollectionUnderWayError
from gateway.group_commit import commit_together
from gateway.models import CargoCollection, record_errors
from gateway.services.authorize_collection import CollectionAuthorization

CLAIM_LIFETIME: Final = timedelta(seconds=60)

log = structlog.get_logger(__name__)


def claim_collection(authorization: CollectionAuthorization, now: datetime) -> CargoCollection:
    """Make the CCA ours; `CollectionUnderWayError` if another call has it, `CollectionRefusedError` if one had."""
    claim = CargoCollection(
        peer_id=authorization.peer_id,
        cca_id_sha256=authorization.cca_id_sha256,
        claimed_at=now,
        claimed_until=now + CLAIM_LIFETIME,
        expires_at=authorization.expires_at,
    )
    with record_errors():
        try:
            commit_together(lambda: None, claim)
        except IntegrityError:
            return _take_over(claim, now)
    return claim


def prolong_claim(claim: CargoCollection, now: datetime) -> None:
    """To be called while cargo is sent; raises `CollectionUnderWayError` if another call has taken it over."""
    with record_errors():
        if not claim.advance(CargoCollection.State.CLAIMED, claimed_until=now + CLAIM_LIFETIME):
            raise CollectionUnderWayError("CCA was taken over by another call; try again in a minute")


def release_claim(claim: CargoCollection, now: datetime) -> None:
    """Let the next call with this CCA begin at once, since this one has failed."""
    with record_errors():
        if claim.advance(CargoCollection.State.CLAIMED, claimed_until=now):
            log.info("collection_given_up", private_peer_id=claim.peer_id)


def fulfil_collection(
    claim: CargoCollection, now: datetime, *, cargoes: int, acknowledged_cargoes: int, octets: int
) -> None:
    """Write down that all cargo was sent; raises `CollectionUnderWayError` if another call has taken the claim over."""
    counts = {"cargoes": cargoes, "acknowledged_cargoes": acknowledged_cargoes, "octets": octets}
    with record_errors():
        if not claim.advance(CargoCollection.State.FULFILLED, fulfilled_at=now, **counts):
            raise CollectionUnderWayError("CCA was taken over by another call; try again in a minute")
    log.info("cargo_collected", private_peer_id=claim.peer_id, **counts)


def _take_over(claim: CargoCollection, now: datetime) -> CargoCollection:
    found = CargoCollection.objects.filter(peer_id=claim.peer_id, cca_id_sha256=claim.cca_id_sha256).first()
    if found is not None and found.claim_id == claim.claim_id:
        return found  # A commit of ours that seemed to fail was carried out.
    if found is not None and found.state == CargoCollection.State.FULFILLED:
        raise CollectionRefusedError("CCA was already fulfilled")
    if found is None or found.claimed_until > now:
        raise CollectionUnderWayError("CCA is being used by another call; try again in a minute")
    changes = {"claim_id": claim.claim_id, "claimed_at": now, "claimed_until": claim.claimed_until}
    if not found.advance(CargoCollection.State.CLAIMED, **changes):
        raise CollectionUnderWayError("CCA is being used by another call; try again in a minute")
    log.warning("collection_taken_over", private_peer_id=claim.peer_id)
    return found
