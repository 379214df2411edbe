"""The judge of the kill tests itself: what it lets pass, and what it does not."""

import pytest

from tests.torture.couriers.history import Kind, SentCargo, SentParcel
from tests.torture.couriers.ledger import CourierLedger

DEVICE, ADDRESS = "0" + "a" * 64, "endpoint.example.com"


@pytest.fixture
def ledger() -> CourierLedger:
    return CourierLedger()


def make_parcel(place: str = ADDRESS) -> SentParcel:
    return SentParcel(
        id="parcel",
        sender_id="sender",
        recipient_id="recipient",
        sha256=f"digest for {place}",
        place=place,
        is_internet_bound=place == ADDRESS,
    )


def bring(ledger: CourierLedger, *parcels: SentParcel, is_acknowledged: bool = True) -> SentCargo:
    cargo = SentCargo(number="1", sha256="cargo", peer_id="peer", parcels=list(parcels), collection_acks=0, bad_items=0)
    ledger.add_cargo(cargo)
    ledger.begin_call([cargo])
    if is_acknowledged:
        ledger.acknowledge(cargo)
    return cargo


def judge(ledger: CourierLedger) -> list[str]:
    ledger.judge_arrivals()
    return [violation.message for violation in ledger.violations]


def test_parcel_that_arrives_once_is_as_promised(ledger: CourierLedger) -> None:
    parcel = make_parcel()
    bring(ledger, parcel)
    ledger.arrive(parcel.sha256, ADDRESS)

    assert judge(ledger) == []
    assert ledger.outstanding == []


def test_parcel_of_acknowledged_cargo_must_arrive(ledger: CourierLedger) -> None:
    parcel = make_parcel()
    bring(ledger, parcel)

    assert ledger.outstanding == [parcel]
    assert judge(ledger) == ["it was in acknowledged cargo, and never arrived"]


def test_cargo_must_be_acknowledged_in_the_end(ledger: CourierLedger) -> None:
    bring(ledger, is_acknowledged=False)

    assert judge(ledger) == ["it was never acknowledged, although it was brought to the end"]


def test_parcel_must_not_arrive_elsewhere(ledger: CourierLedger) -> None:
    parcel = make_parcel()
    bring(ledger, parcel)
    ledger.arrive(parcel.sha256, DEVICE)

    assert judge(ledger) == [f"it arrived at {DEVICE}"]


def test_nothing_arrives_that_nobody_sent(ledger: CourierLedger) -> None:
    ledger.arrive("another digest", ADDRESS)

    assert len(judge(ledger)) == 1


@pytest.mark.parametrize(
    ("place", "victim", "kind"),
    [
        (ADDRESS, "worker", Kind.KILL),
        (ADDRESS, "gateway", Kind.KILL),
        (ADDRESS, ADDRESS, Kind.OUTAGE),
        (DEVICE, "gateway", Kind.KILL),
    ],
)
def test_parcel_may_arrive_once_more_per_strike_that_can_have_that_effect(
    ledger: CourierLedger, place: str, victim: str, kind: Kind
) -> None:
    parcel = make_parcel(place)
    bring(ledger, parcel)
    ledger.arrive(parcel.sha256, place)
    ledger.strike(victim, kind)
    ledger.arrive(parcel.sha256, place)
    assert judge(ledger) == []

    ledger.arrive(parcel.sha256, place)

    assert judge(ledger) == ["it arrived 3 times instead of 2 at the most"]


@pytest.mark.parametrize(
    ("place", "victim", "kind"),
    [
        (ADDRESS, "cogrpc", Kind.KILL),
        (ADDRESS, "redis", Kind.KILL),
        (ADDRESS, "redis", Kind.FLUSH),
        (ADDRESS, "another.example.com", Kind.OUTAGE),
        (DEVICE, "worker", Kind.KILL),
    ],
)
def test_other_strikes_excuse_no_second_arrival(ledger: CourierLedger, place: str, victim: str, kind: Kind) -> None:
    parcel = make_parcel(place)
    bring(ledger, parcel)
    ledger.arrive(parcel.sha256, place)
    ledger.strike(victim, kind)
    ledger.arrive(parcel.sha256, place)

    assert judge(ledger) == ["it arrived 2 times instead of 1 at the most"]


def test_parcel_for_a_device_may_arrive_as_often_as_it_was_sent(ledger: CourierLedger) -> None:
    parcel = make_parcel(DEVICE)
    for _ in range(2):
        bring(ledger, parcel)
        ledger.arrive(parcel.sha256, DEVICE)

    assert judge(ledger) == []


def test_parcel_for_the_internet_arrives_once_however_often_it_was_sent(ledger: CourierLedger) -> None:
    parcel = make_parcel()
    for _ in range(2):
        bring(ledger, parcel)
        ledger.arrive(parcel.sha256, ADDRESS)

    assert judge(ledger) == ["it arrived 2 times instead of 1 at the most"]


def test_violation_tells_the_history(ledger: CourierLedger) -> None:
    parcel = make_parcel()
    bring(ledger, parcel)
    ledger.strike("worker", Kind.KILL)
    ledger.judge_arrivals()

    (violation,) = ledger.violations
    text = "\n".join(violation.describe(ledger.began_at, ledger.strikes))

    assert "it is acknowledged" in text
    assert "worker was killed" in text
