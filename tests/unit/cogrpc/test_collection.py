import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from types import SimpleNamespace

import grpc
import pytest
from django.utils import timezone

from cogrpc import collection as module
from cogrpc.calls import CourierStalledError, RefusedCallError, Threads, TooManyCallsError
from cogrpc.collection import MAX_MADE, Collections, read_authorization
from cogrpc.messages import read_delivery
from cogrpc.turns import Turns
from gateway.errors import (
    CollectionRefusedError,
    KeyUnavailableError,
    RecordUnavailableError,
    StorageUnavailableError,
)
from gateway.models import CargoCollection, Event
from gateway.servers.limits import LARGE_BODIES_AT_ONCE
from tests.unit.cogrpc.contexts import FakeContext

CCA = base64.b64encode(b"the cca").decode()


@pytest.mark.parametrize("scheme", ["Relaynet-CCA", "Awala-CCA", "relaynet-cca", "AWALA-CCA"])
def test_authorization(scheme: str) -> None:
    context = FakeContext(metadata=[("user-agent", "courier"), ("authorization", f"{scheme} {CCA}")])

    assert read_authorization(context.as_context) == b"the cca"


@pytest.mark.parametrize(
    "values",
    [
        (),
        (f"Relaynet-CCA {CCA}", f"Relaynet-CCA {CCA}"),
        (f"Bearer {CCA}",),
        (CCA,),
        ("Relaynet-CCA",),
        ("Relaynet-CCA ",),
        ("Relaynet-CCA !!!!",),
        ("Relaynet-CCA YQ",),
        (f"Relaynet-CCA {CCA}é",),
        ("Relaynet-CCA \udcff",),
        (f"Relaynet-CCA {CCA}\x00",),
        ("",),
    ],
    ids=str,
)
def test_authorization_that_is_none(values: tuple[str, ...]) -> None:
    context = FakeContext(metadata=[("authorization", value) for value in values])

    with pytest.raises(RefusedCallError) as caught:
        read_authorization(context.as_context)

    assert caught.value.code is grpc.StatusCode.UNAUTHENTICATED


# ---------------------------------------------------------------- The course of a call

AUTHORIZED = [("authorization", f"Relaynet-CCA {CCA}")]


class Services:
    """Stand for those that a call uses, and note what becomes of the claim."""

    def __init__(self) -> None:
        self.cargoes: list[bytes | Exception] = [b"first", b"second"]
        self.claim = CargoCollection(claimed_until=timezone.now())
        self.may_begin = threading.Event()
        self.may_begin.set()
        self.outcomes: list[str] = []
        self.counts: dict[str, int] = {}

    def authorize(self, _cca: bytes, _now: datetime) -> SimpleNamespace:
        self.may_begin.wait(5)
        return SimpleNamespace(peer_id="0")

    def make(self, *_: object) -> Iterator[bytes]:
        for cargo in self.cargoes:
            if isinstance(cargo, Exception):
                raise cargo
            yield cargo

    def fulfil(self, _claim: CargoCollection, _now: datetime, **counts: int) -> None:
        self.outcomes.append("fulfilled")
        self.counts = counts

    def note(self, outcome: str) -> Callable[[CargoCollection, datetime], None]:
        return lambda _claim, _now: self.outcomes.append(outcome)


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Services:
    services = Services()
    monkeypatch.setattr(module, "authorize_collection", services.authorize)
    monkeypatch.setattr(module, "claim_collection", lambda *_: services.claim)
    monkeypatch.setattr(module, "make_cargo", services.make)
    monkeypatch.setattr(module, "fulfil_collection", services.fulfil)
    monkeypatch.setattr(module, "release_claim", services.note("released"))
    monkeypatch.setattr(module, "prolong_claim", services.note("prolonged"))
    return services


@pytest.fixture
async def collections() -> AsyncIterator[Collections]:
    threads = Threads(2)
    yield Collections(threads)
    threads.close()


async def test_all_cargo_is_sent(services: Services, collections: Collections) -> None:
    context = FakeContext(metadata=AUTHORIZED)

    await collections.serve(context.as_context)

    assert [read_delivery(octets).cargo for octets in context.sent] == [b"first", b"second"]
    assert services.outcomes == ["fulfilled"]
    octets = sum(map(len, context.sent))
    assert services.counts == {"cargoes": 2, "acknowledged_cargoes": 0, "octets": octets}


async def test_cargo_is_not_made_ahead_while_enough_is(services: Services, collections: Collections) -> None:
    context = FakeContext(metadata=AUTHORIZED)
    for _ in range(LARGE_BODIES_AT_ONCE):
        await collections.ahead.acquire()

    await collections.serve(context.as_context)

    assert len(context.sent) == 2


async def test_refused_cca_is_noted(
    services: Services, collections: Collections, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> CargoCollection:
        raise CollectionRefusedError("CCA was already fulfilled")

    monkeypatch.setattr(module, "claim_collection", refuse)

    with pytest.raises(CollectionRefusedError):
        await collections.serve(FakeContext(metadata=AUTHORIZED).as_context)

    event = await Event.objects.aget()
    assert (event.kind, event.peer_id) == (Event.Kind.COLLECTION_REFUSED, "0")
    assert services.outcomes == []


async def test_failing_call_releases_its_claim(services: Services, collections: Collections) -> None:
    services.cargoes = [b"first", StorageUnavailableError()]

    with pytest.raises(ExceptionGroup):
        await collections.serve(FakeContext(metadata=AUTHORIZED).as_context)
    await collections.finish()

    assert services.outcomes == ["released"]


@pytest.mark.parametrize("failure", [RecordUnavailableError(), KeyUnavailableError()])
async def test_claim_that_cannot_be_released(
    services: Services, collections: Collections, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    """It runs out by itself."""

    def fail(*_: object) -> None:
        raise failure

    services.cargoes = [failure]
    monkeypatch.setattr(module, "release_claim", fail)

    with pytest.raises(type(failure)):
        await collections.serve(FakeContext(metadata=AUTHORIZED).as_context)
    await collections.finish()

    assert services.outcomes == []


async def test_call_cancelled_while_its_claim_is_made(services: Services, collections: Collections) -> None:
    services.may_begin.clear()
    call = asyncio.create_task(collections.serve(FakeContext(metadata=AUTHORIZED).as_context))
    await asyncio.sleep(0.05)
    call.cancel()
    await asyncio.wait([call])
    assert services.outcomes == []

    services.may_begin.set()
    await collections.finish()

    assert services.outcomes == ["released"]


async def test_call_cancelled_while_it_sends(services: Services, collections: Collections) -> None:
    context = FakeContext(metadata=AUTHORIZED)
    context.is_stuck = True
    call = asyncio.create_task(collections.serve(context.as_context))
    await asyncio.sleep(0.1)
    call.cancel()
    await asyncio.wait([call])
    await collections.finish()

    assert services.outcomes == ["released"]


async def test_courier_that_takes_no_more(
    services: Services, collections: Collections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.05)
    context = FakeContext(metadata=AUTHORIZED)
    context.is_stuck = True

    with pytest.raises(ExceptionGroup) as caught:
        await collections.serve(context.as_context)
    await collections.finish()

    assert isinstance(caught.value.exceptions[0], CourierStalledError)
    assert services.outcomes == ["released"]


async def test_stalled_courier_makes_way_for_others(
    services: Services, collections: Collections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAIR_SEND_SECONDS", 0.05)
    # Once a cargo is made there is no room for another of any size.
    collections.octets = Turns(MAX_MADE)
    stuck = FakeContext(metadata=AUTHORIZED)
    stuck.is_stuck = True
    collections.ahead = asyncio.Semaphore(0)
    stalled = asyncio.create_task(collections.serve(stuck.as_context))
    await asyncio.sleep(0.2)
    assert not stalled.done()
    context = FakeContext(metadata=AUTHORIZED)

    await collections.serve(context.as_context)
    await collections.finish()

    assert len(context.sent) == 2
    assert isinstance(stalled.exception(), CourierStalledError)


async def test_call_that_finds_no_room(
    services: Services, collections: Collections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.05)
    collections.octets = Turns(MAX_MADE)
    await collections.octets.take(1)

    with pytest.raises(TooManyCallsError):
        await collections.serve(FakeContext(metadata=AUTHORIZED).as_context)
    await collections.finish()

    assert services.outcomes == ["released"]


async def test_claim_is_prolonged_while_cargo_is_sent(
    services: Services, collections: Collections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PROLONG_AFTER_SECONDS", 0)

    await collections.serve(FakeContext(metadata=AUTHORIZED).as_context)

    assert services.outcomes == ["prolonged", "prolonged", "fulfilled"]
