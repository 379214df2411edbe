"""Parcels delivered over PoWeb, and everything about that port that is not registration or collection."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from awala.asn1 import oids
from awala.connection_params import NodeConnectionParams
from awala.limits import MAX_RAMF_MESSAGE_SIZE
from awala.pki.certificate import Certificate
from awala.pki.keys import node_id
from awala.signatures import sign_detached
from tests import factories
from tests.functional.bad_input import INVALID, MALFORMED, SECRET, UNBELIEVABLE, Bad, assert_refused, tamper
from tests.functional.collector import drain_queue, sha256_of
from tests.functional.exchange import exchange
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import (
    ANOTHER_ADDRESS,
    INTERNET_ADDRESS,
    PARCEL_TYPE,
    PrivateGateway,
    authorization,
    made,
    make_internet_parcel,
)
from tests.functional.record import rows_of

pytestmark = pytest.mark.functional

PATH = "/v1/parcels"
CHALLENGE = {"www-authenticate": "Relaynet-Countersignature, Awala-Countersignature"}
JUST_NOW = datetime.now(UTC) - timedelta(minutes=1)

Countersign = Callable[[PrivateGateway, bytes], str]


def headers(countersign: Countersign) -> Callable[[PrivateGateway, bytes], Mapping[str, str]]:
    return lambda peer, body: {"Content-Type": PARCEL_TYPE, "Authorization": countersign(peer, body)}


def right(peer: PrivateGateway, body: bytes) -> str:
    return authorization(peer.countersign(body))


def of_another_purpose(peer: PrivateGateway, body: bytes) -> str:
    return authorization(peer.sign_nonce(body))


def by_a_stranger(_: PrivateGateway, body: bytes) -> str:
    return sign_as("stranger", factories.gateway_certificate("stranger"), body)


def by_an_endpoint(peer: PrivateGateway, body: bytes) -> str:
    return sign_as("endpoint", peer.chain.endpoint, body)


def under_another_gateway(peer: PrivateGateway, body: bytes) -> str:
    another = factories.gateway_certificate("another gateway")
    return sign_as(peer.name, factories.gateway_certificate(peer.name, issuer=another), body)


def sign_as(name: str, certificate: Certificate, body: bytes) -> str:
    key = factories.rsa_key(name)
    return authorization(sign_detached(body, oids.PARCEL_DELIVERY, private_key=key, certificate=certificate))


def expired_internet_sender(_: PrivateGateway) -> bytes:
    certificate = factories.endpoint_certificate("sender", not_after=JUST_NOW)
    message = factories.internet_parcel(payload=SECRET, creation_date=JUST_NOW.replace(microsecond=0))
    return made(replace(message, sender_certificate=certificate)).serialized


def refuse(body: Callable[[PrivateGateway], bytes], status: int, *, is_chunked: bool = False) -> Bad:
    return Bad(status=status, path=PATH, body=body, headers=headers(right), is_chunked=is_chunked)


def refuse_signature(countersign: Countersign, status: int) -> Bad:
    return Bad(status=status, path=PATH, headers=headers(countersign), answers=CHALLENGE)


BAD_REQUESTS: Mapping[str, Bad] = {
    **{f"parcel {name}": refuse(make, 400) for name, make in MALFORMED.items()},
    # What can never be accepted: with any other status the deployed clients would try again for ever.
    **{f"parcel {name}": refuse(make, 422) for name, make in {**UNBELIEVABLE, **INVALID}.items()},
    "parcel for the Internet whose sender's certificate has expired": refuse(expired_internet_sender, 422),
    "no countersignature": Bad(status=401, path=PATH, answers=CHALLENGE),
    "countersignature of another scheme": refuse_signature(lambda *_: "Bearer YXdhbGE=", 401),
    "countersignature without a value": refuse_signature(lambda *_: "Relaynet-Countersignature", 401),
    "countersignature not in base64": refuse_signature(lambda *_: "Relaynet-Countersignature *", 401),
    "countersignature that is none": refuse_signature(lambda *_: authorization(b"Hello"), 401),
    "countersignature of another parcel": refuse_signature(lambda peer, _: right(peer, b"another"), 403),
    "countersignature of a nonce": refuse_signature(of_another_purpose, 403),
    "countersignature by a stranger": refuse_signature(by_a_stranger, 403),
    "countersignature by an endpoint": refuse_signature(by_an_endpoint, 403),
    "countersignature under another gateway": refuse_signature(under_another_gateway, 403),
    "no media type": Bad(status=415, path=PATH, headers=lambda *_: {"Authorization": "Relaynet-Countersignature YQ=="}),
    "another media type": Bad(
        status=415, path=PATH, headers=lambda *args: {**headers(right)(*args), "Content-Type": "text/plain"}
    ),
    "too large": refuse(lambda _: bytes(MAX_RAMF_MESSAGE_SIZE + 1), 413),
    "too large, chunked": refuse(lambda _: bytes(MAX_RAMF_MESSAGE_SIZE + 1), 413, is_chunked=True),
    "unknown path": Bad(status=404, path="/v1/cargo"),
    "console": Bad(status=404, path="/admin/"),
    "operators' pages": Bad(status=404, path="/metrics"),
}


@pytest.fixture(scope="module")
def peer(gateway: GatewayProcess) -> PrivateGateway:
    return PrivateGateway.register(gateway)


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_input(gateway: GatewayProcess, peer: PrivateGateway, name: str) -> None:
    assert_refused(gateway, gateway.poweb_url, BAD_REQUESTS[name], peer)


def test_refused_parcel_is_accepted_once_it_is_right(gateway: GatewayProcess) -> None:
    peer = PrivateGateway.register(gateway)
    good = peer.make_parcel(SECRET)
    assert peer.deliver(replace(good, serialized=tamper(good.serialized))).status == 422

    answer = peer.deliver(good)

    assert (answer.status, answer.body, answer.headers.get("content-type")) == (202, b"", None)
    assert sha256_of(drain_queue(gateway.collection_url, peer)) == [good.sha256]


@pytest.mark.parametrize("scheme", ["Relaynet-Countersignature", "Awala-Countersignature", "awala-countersignature"])
def test_both_spellings_of_the_scheme(peer: PrivateGateway, scheme: str) -> None:
    good = peer.make_parcel()

    answer = peer.deliver(good, {"Authorization": authorization(peer.countersign(good.serialized), scheme)})

    assert answer.status == 202


def test_peer_delivers_for_endpoints_of_others(gateway: GatewayProcess, peer: PrivateGateway) -> None:
    """Whoever carries a parcel signs that it does; who wrote it is another matter."""
    another = PrivateGateway.register(gateway)
    parcel_for_another = another.make_parcel()

    assert peer.deliver(parcel_for_another).status == 202

    assert sha256_of(drain_queue(gateway.collection_url, another)) == [parcel_for_another.sha256]


@pytest.mark.parametrize("address", [INTERNET_ADDRESS, f"{INTERNET_ADDRESS.upper()}."])
def test_own_address_in_any_form_is_ours(gateway: GatewayProcess, address: str) -> None:
    peer = PrivateGateway.register(gateway)
    good = peer.make_parcel(internet_address=address)

    assert peer.deliver(good).status == 202

    assert sha256_of(drain_queue(gateway.collection_url, peer)) == [good.sha256]


def test_parcel_for_the_internet_is_queued_and_recorded(gateway: GatewayProcess) -> None:
    peer = PrivateGateway.register(gateway)
    outgoing = make_internet_parcel()

    answer = peer.deliver(outgoing)

    assert (answer.status, answer.body) == (202, b"")
    (row,) = rows_of(gateway, "outgoingparcel", peer_id=peer.node_id)
    assert (row["state"], row["destination"], row["attempts"]) == ("pending", ANOTHER_ADDRESS, 0)
    assert (row["recipient_id"], row["sender_id"]) == (factories.id_of("internet endpoint"), factories.id_of("sender"))
    stored = gateway.data_dir / "objects" / row["object_key"]
    assert stored.read_bytes() == outgoing.serialized
    (record,) = rows_of(gateway, "parcelrecord", peer_id=peer.node_id)
    assert record["parcel_id"] == outgoing.id.encode()


def test_parcel_for_the_internet_sent_again(gateway: GatewayProcess) -> None:
    peer = PrivateGateway.register(gateway)
    outgoing = make_internet_parcel()
    assert peer.deliver(outgoing).status == 202
    objects = gateway.objects

    answer = peer.deliver(make_internet_parcel(parcel_id=outgoing.id))

    assert answer.status == 202
    assert len(rows_of(gateway, "outgoingparcel", peer_id=peer.node_id)) == 1
    assert len(rows_of(gateway, "parcelrecord", peer_id=peer.node_id)) == 1
    assert gateway.objects == objects


def test_parcel_for_the_internet_from_two_peers(gateway: GatewayProcess, peer: PrivateGateway) -> None:
    """One gateway's records say nothing of what another has sent."""
    outgoing = make_internet_parcel()

    assert peer.deliver(outgoing).status == 202
    assert PrivateGateway.register(gateway).deliver(outgoing).status == 202

    digest = rows_of(gateway, "parcelrecord", parcel_id=outgoing.id.encode())[0]["parcel_id_sha256"]
    assert len(rows_of(gateway, "outgoingparcel", parcel_id_sha256=digest)) == 2


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/", "OPTIONS, GET, HEAD"),
        ("/connection-params.der", "OPTIONS, GET, HEAD"),
        ("/v1/pre-registration", "OPTIONS, POST"),
        ("/v1/pre-registrations", "OPTIONS, POST"),
        ("/v1/nodes", "OPTIONS, POST"),
        (PATH, "OPTIONS, POST"),
        ("/v1/parcel-collection", "OPTIONS, GET"),
    ],
)
def test_methods(gateway: GatewayProcess, path: str, allow: str) -> None:
    url = gateway.poweb_url + path

    options, refused = exchange("OPTIONS", url), exchange("PUT", url, b"")

    assert (options.status, options.headers["allow"], options.body) == (204, allow, b"")
    assert (refused.status, refused.headers["allow"]) == (405, allow)


def test_reachability_probe(gateway: GatewayProcess) -> None:
    """Android asks `HEAD /` before it goes on."""
    answer = exchange("HEAD", f"{gateway.poweb_url}/")

    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "text/plain", b"")


def test_connection_params(gateway: GatewayProcess, peer: PrivateGateway) -> None:
    answer = exchange("GET", f"{gateway.poweb_url}/connection-params.der")

    params = NodeConnectionParams.deserialize(answer.body)

    assert (answer.status, answer.headers["content-type"]) == (200, "application/vnd.etsi.tsl.der")
    assert params.internet_address == INTERNET_ADDRESS
    assert node_id(params.identity_key_der) == peer.gateway_certificate.node_id


def test_connection_params_stay_the_same(gateway: GatewayProcess) -> None:
    url = f"{gateway.poweb_url}/connection-params.der"

    assert exchange("GET", url).body == exchange("GET", url).body


@pytest.mark.parametrize("accept", ["application/json", "text/plain;q=0.1, application/*"])
def test_errors_in_json_for_those_who_want_it(peer: PrivateGateway, accept: str) -> None:
    bad = replace(peer.make_parcel(), serialized=b"Hello")

    answer = peer.deliver(bad, {"Accept": accept})

    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert isinstance(json.loads(answer.body)["message"], str)


@pytest.mark.parametrize("accept", ["*/*", "text/plain", "text/html", "application/json;q=0.1, text/*"])
def test_errors_in_plain_text_for_others(peer: PrivateGateway, accept: str) -> None:
    answer = peer.deliver(replace(peer.make_parcel(), serialized=b"Hello"), {"Accept": accept})

    assert answer.headers["content-type"] == "text/plain"


def test_collection_without_a_websocket(gateway: GatewayProcess) -> None:
    answer = exchange("GET", f"{gateway.poweb_url}/v1/parcel-collection")

    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


def test_countersignature_in_wrapped_base64_is_refused(peer: PrivateGateway) -> None:
    good = peer.make_parcel()
    encoded = base64.encodebytes(peer.countersign(good.serialized)).decode().replace("\n", " ")

    assert peer.deliver(good, {"Authorization": f"Relaynet-Countersignature {encoded}"}).status == 401
