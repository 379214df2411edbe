"""CollectCargo, by our own courier and by bare calls, on a gateway in a process of its own."""

import base64
import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import grpc
import pytest

from awala.clients.errors import CollectedAlreadyError, ServerUnavailableError
from awala.cms.enveloped_data import EnvelopedData
from awala.messages.cargo import Cargo
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from awala.pki.path import build_path
from awala.ramf import Recipient
from awala.session_key import generate_session_key
from tests import cargo_factories, factories
from tests.functional.conftest import StartGateway
from tests.functional.couriers import MadeMessage, courier_of, make_cca, open_cargo
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import (
    MadeParcel,
    PrivateGateway,
    deliver_pohttp,
    in_whole_seconds,
    make_internet_parcel,
)
from tests.functional.raw_grpc import NAMES, RawCall
from tests.functional.record import rows_of

pytestmark = pytest.mark.functional

# How many races there are between two calls with one CCA; a thousand take minutes.
RACES = int(os.environ.get("AWALA_COLLECTION_RACES", "50"))


@pytest.fixture
def device(gateway: GatewayProcess) -> PrivateGateway:
    return PrivateGateway.register(gateway)


def queue(device: PrivateGateway, *sizes: int) -> list[MadeParcel]:
    """Parcels that wait for the device."""
    parcels = [device.make_parcel(os.urandom(size)) for size in sizes]
    for parcel in parcels:
        assert deliver_pohttp(device.process, parcel.serialized).status == 202
    return parcels


def collect(process: GatewayProcess, cca: MadeMessage) -> list[bytes]:
    with courier_of(process, timeout=20) as courier:
        cargoes = []
        for cargo in courier.collect_cargo(cca.serialized):
            cargo.acknowledge()
            cargoes.append(cargo.cargo_serialized)
        return cargoes


def items_of(cca: MadeMessage, cargoes: list[bytes]) -> list[bytes]:
    return [item for cargo in cargoes for item in open_cargo(cargo, cca.session_private_key)]


def open_call(process: GatewayProcess, cca: bytes, *, scheme: str = "Relaynet-CCA", **options: object) -> RawCall:
    value = f"{scheme} {base64.b64encode(cca).decode()}"
    return RawCall(process, "CollectCargo", metadata=[("authorization", value)], **options)  # type: ignore[arg-type]


def row_of(cca: MadeMessage, device: PrivateGateway) -> dict[str, object]:
    (row,) = rows_of(device.process, "cargocollection", peer_id=device.node_id)
    return row


# ---------------------------------------------------------------- What is collected


def test_parcels_come_as_cargo(gateway: GatewayProcess, device: PrivateGateway) -> None:
    parcels = queue(device, 500, 20_000, 500)
    cca = make_cca(device)

    cargoes = collect(gateway, cca)

    assert items_of(cca, cargoes) == [parcel.serialized for parcel in parcels]
    row = row_of(cca, device)
    # The call does not wait for the first acknowledgement, which most couriers never send.
    assert (row["state"], row["cargoes"]) == ("fulfilled", 1)
    # Nothing is deleted before its acknowledgement.
    assert len(rows_of(gateway, "storedparcel", peer_id=device.node_id, state="queued")) == 3


def test_nothing_to_collect(gateway: GatewayProcess, device: PrivateGateway) -> None:
    with open_call(gateway, make_cca(device).serialized) as call:
        assert list(call.take_rest()) == []
        assert call.status is grpc.StatusCode.OK


def test_acknowledgements_of_parcels_come_first(gateway: GatewayProcess, device: PrivateGateway) -> None:
    sent = make_internet_parcel()
    assert device.deliver(sent).status == 202
    (parcel,) = queue(device, 500)
    cca = make_cca(device)

    ack, item = items_of(cca, collect(gateway, cca))

    assert ParcelCollectionAck.deserialize(ack).parcel_id == sent.id
    assert item == parcel.serialized


def test_cargo_shows_couriers_that_the_device_wants_it(gateway: GatewayProcess, device: PrivateGateway) -> None:
    """Trap 5: Android couriers look for the issuer of the signer's certificate, by name and id, in the cargo."""
    queue(device, 500)

    (octets,) = collect(gateway, make_cca(device))

    cargo = Cargo.deserialize(octets)
    (issuer,) = [c for c in cargo.attached_certificates if c.node_id == cargo.recipient.id]
    now = in_whole_seconds(timedelta())
    assert issuer.subject_der == cargo.sender_certificate.issuer_der
    assert build_path(cargo.sender_certificate, (), (issuer,), now=now)
    assert cargo.creation_date < now - timedelta(hours=2, minutes=59)


def test_cargo_stays_under_four_mebioctets(gateway: GatewayProcess, device: PrivateGateway) -> None:
    """Trap 6: Android couriers leave gRPC's limit in place. What is larger by itself travels alone."""
    parcels = queue(device, *[700_000] * 12, 5_000_000)
    cca = make_cca(device)

    with open_call(gateway, cca.serialized, timeout=20) as call:
        sizes, cargoes = [], []
        for delivery in call.take_rest():
            sizes.append(delivery.ByteSize())
            cargoes.append(delivery.cargo)
            call.acknowledge(delivery.id)
        assert call.status is grpc.StatusCode.OK

    assert items_of(cca, cargoes) == [parcel.serialized for parcel in parcels]
    assert all(size <= 4_194_304 for size in sizes[:-1])
    assert len(sizes) == 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scheme", ["Relaynet-CCA", "Awala-CCA", "relaynet-cca"])
def test_both_names_of_service_and_scheme(
    gateway: GatewayProcess, device: PrivateGateway, name: str, scheme: str
) -> None:
    with open_call(gateway, make_cca(device).serialized, name=name, scheme=scheme) as call:
        assert call.status is grpc.StatusCode.OK


def test_answer_is_encrypted_to_the_key_in_that_cca(gateway: GatewayProcess, device: PrivateGateway) -> None:
    queue(device, 500)
    older, newer = make_cca(device), make_cca(device, creation_date=in_whole_seconds(timedelta(minutes=-1)))

    assert items_of(newer, collect(gateway, newer))
    assert items_of(older, collect(gateway, older))


def test_session_goes_on_with_the_key_in_the_cargo(gateway: GatewayProcess, device: PrivateGateway) -> None:
    queue(device, 500)
    (octets,) = collect(gateway, make_cca(device))

    # As in every exchange of the protocol: the answer is encrypted to the key that came last.
    session_key = EnvelopedData.deserialize(Cargo.deserialize(octets).payload).originator_session_key()
    assert collect(gateway, make_cca(device, session_key=session_key))


# ---------------------------------------------------------------- What is refused


def of_the_future(device: PrivateGateway) -> bytes:
    return make_cca(device, creation_date=in_whole_seconds(timedelta(minutes=5))).serialized


def to_an_unknown_key(device: PrivateGateway) -> bytes:
    return make_cca(device, session_key=generate_session_key()[0]).serialized


def by_a_stranger(device: PrivateGateway) -> bytes:
    return make_cca(device, sender=factories.gateway_certificate("stranger")).serialized


def with_authorization_of_another(device: PrivateGateway) -> bytes:
    authorization = cargo_factories.make_cargo_authorization(
        device.gateway_certificate, issuer=factories.gateway_certificate("stranger")
    )
    return make_cca(device, authorization=authorization).serialized


BAD_CCAS: dict[str, Callable[[PrivateGateway], bytes]] = {
    "octets of any kind": lambda _: b"whatever",
    "a parcel": lambda device: device.make_parcel().serialized,
    "tampered with": lambda device: make_cca(device).serialized[:-1] + b"\0",
    "expired": lambda device: make_cca(device, ttl_seconds=60).serialized,
    "of the future": of_the_future,
    "by a stranger": by_a_stranger,
    "to another gateway": lambda device: (
        make_cca(device, recipient=Recipient(id=factories.id_of("another"))).serialized
    ),
    "to an unknown key": to_an_unknown_key,
    "with another payload": lambda device: make_cca(device, plaintext=b"whatever").serialized,
    "with an authorisation of another": with_authorization_of_another,
}


@pytest.mark.parametrize("name", BAD_CCAS)
def test_bad_cca_is_unauthenticated(gateway: GatewayProcess, device: PrivateGateway, name: str) -> None:
    queue(device, 500)
    with open_call(gateway, BAD_CCAS[name](device)) as call:
        assert list(call.take_rest()) == []
        assert call.status is grpc.StatusCode.UNAUTHENTICATED
        assert call.details

    assert rows_of(gateway, "cargocollection", peer_id=device.node_id) == []
    assert rows_of(gateway, "event", kind="collection_refused")


@pytest.mark.parametrize(
    "values", [(), ("Basic YQ==",), ("Relaynet-CCA",), ("Relaynet-CCA ",), ("Relaynet-CCA ***",)], ids=str
)
def test_authorization_that_is_none(gateway: GatewayProcess, values: tuple[str, ...]) -> None:
    with RawCall(gateway, "CollectCargo", metadata=[("authorization", value) for value in values]) as call:
        assert call.status is grpc.StatusCode.UNAUTHENTICATED


def test_repeated_authorization(gateway: GatewayProcess, device: PrivateGateway) -> None:
    value = f"Relaynet-CCA {base64.b64encode(make_cca(device).serialized).decode()}"
    with RawCall(gateway, "CollectCargo", metadata=[("authorization", value)] * 2) as call:
        assert call.status is grpc.StatusCode.UNAUTHENTICATED


def test_cca_of_an_rsa_4096_gateway_passes_the_limit_of_metadata(
    gateway: GatewayProcess, device: PrivateGateway
) -> None:
    """They have about 7.5 KB in base64."""
    with open_call(gateway, os.urandom(6_000)) as call:
        assert call.status is grpc.StatusCode.UNAUTHENTICATED
    with open_call(gateway, os.urandom(20_000)) as call:
        assert call.status is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_fulfilled_cca_is_refused(gateway: GatewayProcess, device: PrivateGateway) -> None:
    queue(device, 500)
    cca = make_cca(device)
    assert collect(gateway, cca)

    with open_call(gateway, cca.serialized) as call:
        assert list(call.take_rest()) == []
        assert call.status is grpc.StatusCode.PERMISSION_DENIED
        assert call.details == "CCA was already fulfilled"
    with courier_of(gateway) as courier, pytest.raises(CollectedAlreadyError):
        list(courier.collect_cargo(cca.serialized))


# ---------------------------------------------------------------- Claims


@pytest.mark.timeout(120 + RACES)
def test_of_two_calls_at_once_one_succeeds(gateway: GatewayProcess, device: PrivateGateway) -> None:
    queue(device, 500)
    outcomes: list[list[grpc.StatusCode]] = []
    for _ in range(RACES):
        cca = make_cca(device).serialized
        barrier = threading.Barrier(2)
        codes: list[grpc.StatusCode] = []
        received: list[int] = []

        def call(
            cca: bytes = cca,
            barrier: threading.Barrier = barrier,
            codes: list[grpc.StatusCode] = codes,
            received: list[int] = received,
        ) -> None:
            barrier.wait()
            with open_call(gateway, cca) as one:
                received.append(len(list(one.take_rest())))
                codes.append(one.status)

        threads = [threading.Thread(target=call) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        outcomes.append(sorted(codes, key=str))
        assert sorted(received) == [0, 1]

    # Whether the one that was first had finished by then.
    refusals = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED}
    assert all(codes.count(grpc.StatusCode.OK) == 1 and refusals & set(codes) for codes in outcomes)
    assert len(outcomes) == RACES


def test_cancelled_call_gives_the_cca_back(gateway: GatewayProcess, device: PrivateGateway) -> None:
    queue(device, *[900_000] * 12)
    cca = make_cca(device)
    with open_call(gateway, cca.serialized) as call:
        call.take_delivery()
        assert row_of(cca, device)["state"] == "claimed"
        with open_call(gateway, cca.serialized) as other:
            assert other.status is grpc.StatusCode.UNAVAILABLE
            assert other.details == "CCA is being used by another call; try again in a minute"
        call.cancel()

    deadline = time.monotonic() + 5
    while not (cargoes := collect_unless_refused(gateway, cca)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(items_of(cca, cargoes)) == 12


def collect_unless_refused(process: GatewayProcess, cca: MadeMessage) -> list[bytes]:
    try:
        return collect(process, cca)
    except ServerUnavailableError:
        return []


def test_claim_of_a_dead_process_is_taken_over_after_a_minute(start_gateway: StartGateway) -> None:
    process = start_gateway()
    device = PrivateGateway.register(process)
    queue(device, *[900_000] * 30)
    cca = make_cca(device)
    with open_call(process, cca.serialized) as call:
        call.take_delivery()
        process.kill()
    process.start()

    assert collect_unless_refused(process, cca) == []
    # Instead of waiting for it.
    _let_claims_run_out(process)
    assert len(items_of(cca, collect(process, cca))) == 30


def _let_claims_run_out(process: GatewayProcess) -> None:
    process.manage(
        "shell",
        "-c",
        "from datetime import timedelta; from django.db.models import F; from gateway.models import CargoCollection; "
        "CargoCollection.objects.update(claimed_until=F('claimed_until') - timedelta(seconds=61))",
    )


# ---------------------------------------------------------------- Acknowledgements


def test_five_cargoes_at_most_are_unacknowledged(gateway: GatewayProcess, device: PrivateGateway) -> None:
    queue(device, *[2_500_000] * 9)
    cca = make_cca(device)
    with open_call(gateway, cca.serialized, timeout=20) as call:
        first = call.take_delivery()
        call.acknowledge(first.id)
        under_way = [call.take_delivery() for _ in range(5)]
        time.sleep(1)
        assert call.answers.empty()
        for delivery in under_way:
            call.acknowledge(delivery.id)
        for delivery in call.take_rest():
            call.acknowledge(delivery.id)
        assert call.status is grpc.StatusCode.OK

    row = row_of(cca, device)
    assert (row["cargoes"], row["acknowledged_cargoes"]) == (9, 9)


def test_courier_that_never_acknowledges_gets_all(gateway: GatewayProcess, device: PrivateGateway) -> None:
    queue(device, *[2_500_000] * 9)
    cca = make_cca(device)
    started_at = time.monotonic()
    with open_call(gateway, cca.serialized) as call:
        assert len(list(call.take_rest())) == 9
        assert call.status is grpc.StatusCode.OK

    # Without waiting for what does not come; how fast it is, the benchmark says.
    assert time.monotonic() - started_at < 10
    row = row_of(cca, device)
    assert (row["state"], row["cargoes"], row["acknowledged_cargoes"]) == ("fulfilled", 9, 0)


def test_acknowledgements_of_what_was_not_sent_mean_nothing(gateway: GatewayProcess, device: PrivateGateway) -> None:
    queue(device, 500)
    cca = make_cca(device)
    with open_call(gateway, cca.serialized) as call:
        call.acknowledge("whatever")
        call.send(b"\xff\xff")
        assert len(list(call.take_rest())) == 1
        assert call.status is grpc.StatusCode.OK

    assert row_of(cca, device)["acknowledged_cargoes"] == 0


# ---------------------------------------------------------------- What fails on our side


def test_failing_storage_gives_the_cca_back(start_gateway: StartGateway) -> None:
    process = start_gateway()
    device = PrivateGateway.register(process)
    queue(device, 500)
    cca = make_cca(device)
    objects = process.data_dir / "objects"
    away = objects.rename(process.data_dir / "objects away")
    objects.write_bytes(b"no folder")
    try:
        with open_call(process, cca.serialized) as call:
            assert call.status is grpc.StatusCode.UNAVAILABLE
            assert call.details == "The gateway cannot do this now; try again later"
    finally:
        objects.unlink()
        away.rename(objects)

    deadline = time.monotonic() + 5
    while not (cargoes := collect_unless_refused(process, cca)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(items_of(cca, cargoes)) == 1


# ---------------------------------------------------------------- Stopping


def test_stop_gives_the_cca_back(start_gateway: StartGateway) -> None:
    process = start_gateway()
    device = PrivateGateway.register(process)
    queue(device, *[2_500_000] * 9)
    cca = make_cca(device)
    with open_call(process, cca.serialized, timeout=30) as call:
        call.acknowledge(call.take_delivery().id)
        assert process.stop() == 0
        list(call.take_rest())

    (row,) = rows_of(process, "cargocollection", peer_id=device.node_id)
    assert row["state"] == "claimed"
    process.start()
    assert len(items_of(cca, collect(process, cca))) == 9
