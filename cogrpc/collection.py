"""CollectCargo (RS-008): a courier shows a private gateway's authorisation (CCA) and gets the cargo that waits for it.

The call makes the CCA its own before it sends anything. It ends the call itself once all is sent, since clients do
not; and it waits for acknowledgements no longer than it has to, since clients give a whole call three seconds.
"""

import asyncio
import base64
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Final, NamedTuple

import grpc
from django.utils import timezone

from awala.errors import InvalidMessageError
from awala.limits import MAX_RAMF_MESSAGE_SIZE
from cogrpc.acknowledgements import Acknowledgements
from cogrpc.calls import (
    UNAVAILABLE,
    Context,
    CourierStalledError,
    RefusedCallError,
    StatusByError,
    Threads,
    TooManyCallsError,
)
from cogrpc.messages import MAX_ID_OCTETS, Delivery, write_delivery
from cogrpc.turns import Turn, Turns
from gateway.errors import CollectionRefusedError, CollectionUnderWayError, GatewayError
from gateway.metrics import count_cargo
from gateway.models import CargoCollection, Event
from gateway.refusals import note_refusal
from gateway.servers.limits import LARGE_BODIES_AT_ONCE
from gateway.services.authorize_collection import authorize_collection
from gateway.services.claim_collection import claim_collection, fulfil_collection, prolong_claim, release_claim
from gateway.services.collect_cargo import make_cargo

COLLECTION_ERRORS: Final[StatusByError] = MappingProxyType(
    {
        InvalidMessageError: grpc.StatusCode.UNAUTHENTICATED,
        # Couriers delete the CCA.
        CollectionRefusedError: grpc.StatusCode.PERMISSION_DENIED,
        # They keep it.
        CollectionUnderWayError: grpc.StatusCode.UNAVAILABLE,
        **UNAVAILABLE,
    }
)
# The deployed clients send the first scheme, the specification names the second.
SCHEMES: Final = frozenset({"relaynet-cca", "awala-cca"})
# A courier that takes no more octets for so long is gone, or as good as.
SEND_SECONDS = 30.0
# If others wait for the memory that its cargo has, it is given up after this.
FAIR_SEND_SECONDS = 5.0
# Octets of cargo that is made and not yet taken, of all calls together.
OCTETS_UNDER_WAY = 64 * 1024 * 1024
MAX_MADE: Final = MAX_RAMF_MESSAGE_SIZE + MAX_ID_OCTETS
_PROLONG_AFTER_SECONDS = 20.0


class _Delivery(NamedTuple):
    """A cargo as it goes out, in a message of the call."""

    id: str
    serialized: bytes
    turn: Turn


class Collections:
    """Runs the calls. Few cargoes are made at once, and few ahead of their time, so that memory stays bounded."""

    def __init__(self, threads: Threads) -> None:
        self.threads = threads
        self.making = asyncio.Semaphore(LARGE_BODIES_AT_ONCE)
        self.ahead = asyncio.Semaphore(LARGE_BODIES_AT_ONCE)
        self.octets = Turns(OCTETS_UNDER_WAY)
        self._clean_ups: set[asyncio.Task[None]] = set()

    async def serve(self, context: Context) -> None:
        cca_serialized = read_authorization(context)
        beginning = asyncio.ensure_future(self.threads.run(_begin, cca_serialized))
        try:
            # The claim that a thread makes must be known to whoever has to release it, even if the client has gone.
            claim, cargoes = await asyncio.shield(beginning)
        except asyncio.CancelledError:
            self._clean_up(beginning)
            raise
        try:
            await _Collection(self, context, claim, cargoes).send()
        except BaseException:
            self._clean_up(beginning)
            raise

    async def finish(self) -> None:
        """Wait until every claim that calls have left is released."""
        if self._clean_ups:
            await asyncio.wait(self._clean_ups)

    def _clean_up(self, beginning: "asyncio.Future[tuple[CargoCollection, Iterator[bytes]]]") -> None:
        """Release the claim in a task of its own, since the call's is being cancelled."""
        task = asyncio.create_task(self._release(beginning))
        self._clean_ups.add(task)
        task.add_done_callback(self._clean_ups.discard)

    async def _release(self, beginning: "asyncio.Future[tuple[CargoCollection, Iterator[bytes]]]") -> None:
        # If it cannot be done, the claim runs out by itself.
        with suppress(InvalidMessageError, GatewayError):
            claim, _ = await beginning
            await self.threads.run(release_claim, claim, timezone.now())


class _Collection:
    """One call whose CCA is claimed."""

    def __init__(
        self, collections: Collections, context: Context, claim: CargoCollection, cargoes: Iterator[bytes]
    ) -> None:
        self._collections = collections
        self._threads = collections.threads
        self._context = context
        self._claim = claim
        self._claimed_at = time.monotonic()
        self._cargoes = cargoes
        self._acknowledgements = Acknowledgements()
        self._turns: set[Turn] = set()
        self._sent = 0
        self._octets = 0

    async def send(self) -> None:
        reading = asyncio.create_task(self._acknowledgements.read(self._context))
        try:
            await self._send_all()
            await self._acknowledgements.wait_for_last()
        finally:
            reading.cancel()
            for turn in self._turns:
                turn.release()
        await self._threads.run(
            fulfil_collection,
            self._claim,
            timezone.now(),
            cargoes=self._sent,
            acknowledged_cargoes=self._acknowledgements.received,
            octets=self._octets,
        )

    async def _send_all(self) -> None:
        delivery = await self._make()
        while delivery is not None:
            async with _limit(delivery.turn):
                await self._acknowledgements.wait_for_place()
            await self._prolong()
            delivery = await self._send_and_make_next(delivery)

    async def _send_and_make_next(self, delivery: _Delivery) -> _Delivery | None:
        """Send a cargo, and make the next meanwhile, unless others are made ahead already."""
        if self._collections.ahead.locked():
            await self._send(delivery)
            return await self._make()
        async with self._collections.ahead, asyncio.TaskGroup() as group:
            making = group.create_task(self._make())
            await self._send(delivery)
        return making.result()

    async def _make(self) -> _Delivery | None:
        async with self._collections.making:
            turn = await self._wait_for_octets()
            self._turns.add(turn)
            made = await self._threads.run(_make_next, self._cargoes)
        if made is None:
            self._release(turn)
            return None
        turn.shrink(len(made[1]))
        return _Delivery(*made, turn)

    async def _wait_for_octets(self) -> Turn:
        """Room for the largest cargo there may be."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                return await self._collections.octets.take(MAX_MADE)
        except TimeoutError as error:
            raise TooManyCallsError from error

    def _release(self, turn: Turn) -> None:
        turn.release()
        self._turns.discard(turn)

    async def _send(self, delivery: _Delivery) -> None:
        self._acknowledgements.expect(delivery.id)
        self._sent += 1
        self._octets += len(delivery.serialized)
        async with _limit(delivery.turn):
            await self._context.write(delivery.serialized)
        self._release(delivery.turn)
        count_cargo("sent")

    async def _prolong(self) -> None:
        if time.monotonic() - self._claimed_at > _PROLONG_AFTER_SECONDS:
            await self._threads.run(prolong_claim, self._claim, timezone.now())
            self._claimed_at = time.monotonic()


@asynccontextmanager
async def _limit(turn: Turn) -> AsyncIterator[None]:
    try:
        async with turn.limit(SEND_SECONDS, fair_seconds=FAIR_SEND_SECONDS):
            yield
    except TimeoutError as error:
        raise CourierStalledError("Cargo could not be sent in time") from error


def read_authorization(context: Context) -> bytes:
    """The CCA in the call's metadata."""
    values = [str(value) for name, value in context.invocation_metadata() or () if name == "authorization"]
    if len(values) != 1:
        raise RefusedCallError(grpc.StatusCode.UNAUTHENTICATED, "Metadata must have authorization, once")
    scheme, _, credentials = values[0].partition(" ")
    if scheme.lower() not in SCHEMES:
        raise RefusedCallError(grpc.StatusCode.UNAUTHENTICATED, "Authorization scheme must be Relaynet-CCA")
    try:
        cca_serialized = base64.b64decode(credentials.strip(), validate=True)
    except ValueError as error:
        raise RefusedCallError(grpc.StatusCode.UNAUTHENTICATED, "CCA is not in base64") from error
    if not cca_serialized:
        raise RefusedCallError(grpc.StatusCode.UNAUTHENTICATED, "CCA is missing")
    return cca_serialized


def _begin(cca_serialized: bytes) -> tuple[CargoCollection, Iterator[bytes]]:
    """Check the CCA, make it this call's own, and get ready to make cargo for it."""
    now = timezone.now()
    peer_id = ""
    try:
        authorization = authorize_collection(cca_serialized, now)
        peer_id = authorization.peer_id
        claim = claim_collection(authorization, now)
    except (InvalidMessageError, CollectionRefusedError, CollectionUnderWayError) as error:
        note_refusal(Event.Kind.COLLECTION_REFUSED, str(error), peer_id=peer_id)
        raise
    return claim, make_cargo(authorization, timezone.now)


def _make_next(cargoes: Iterator[bytes]) -> tuple[str, bytes] | None:
    cargo_serialized = next(cargoes, None)
    if cargo_serialized is None:
        return None
    delivery_id = str(uuid.uuid4())
    return delivery_id, write_delivery(Delivery(delivery_id, cargo_serialized))
