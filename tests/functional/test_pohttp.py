"""PoHTTP as the Internet sees it: what it takes, and what bad input gets."""

import json
from collections.abc import Mapping

import pytest

from awala.limits import MAX_RAMF_MESSAGE_SIZE
from tests.functional.bad_input import INVALID, MALFORMED, SECRET, UNBELIEVABLE, Bad, assert_refused, parcel, tamper
from tests.functional.collector import drain_queue, sha256_of
from tests.functional.exchange import exchange
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import (
    ANOTHER_ADDRESS,
    INTERNET_ADDRESS,
    PARCEL_TYPE,
    PrivateGateway,
    deliver_pohttp,
    make_internet_parcel,
)

pytestmark = pytest.mark.functional

BAD_REQUESTS: Mapping[str, Bad] = {
    **{f"parcel {name}": Bad(status=400, body=make) for name, make in MALFORMED.items()},
    **{f"parcel {name}": Bad(status=400, body=make) for name, make in UNBELIEVABLE.items()},
    **{f"parcel {name}": Bad(status=403, body=make) for name, make in INVALID.items()},
    # PoHTTP forwards nothing, so a parcel that only PoWeb would pass on is not authorised here.
    "parcel for another gateway": Bad(status=403, body=lambda _: make_internet_parcel().serialized),
    "no media type": Bad(status=415, headers={}),
    "another media type": Bad(status=415, headers={"Content-Type": "application/octet-stream"}),
    "a media type that begins alike": Bad(status=415, headers={"Content-Type": f"{PARCEL_TYPE}s"}),
    "too large": Bad(status=413, body=lambda _: bytes(MAX_RAMF_MESSAGE_SIZE + 1)),
    "too large, chunked": Bad(status=413, body=lambda _: bytes(MAX_RAMF_MESSAGE_SIZE + 1), is_chunked=True),
    **{
        f"method {method}": Bad(status=405, method=method, answers={"allow": "OPTIONS, GET, HEAD, POST"})
        for method in ("PUT", "DELETE", "PATCH")
    },
    "unknown path": Bad(status=404, path="/parcels"),
    "console": Bad(status=404, path="/admin/"),
    "PoWeb's path": Bad(status=404, path="/v1/parcels"),
}


@pytest.fixture(scope="module")
def peer(gateway: GatewayProcess) -> PrivateGateway:
    return PrivateGateway.register(gateway)


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_input(gateway: GatewayProcess, peer: PrivateGateway, name: str) -> None:
    assert_refused(gateway, gateway.pohttp_url, BAD_REQUESTS[name], peer)


def test_refused_parcel_is_accepted_once_it_is_right(gateway: GatewayProcess, peer: PrivateGateway) -> None:
    good = peer.make_parcel(SECRET)
    assert deliver_pohttp(gateway, tamper(good.serialized)).status == 400

    answer = deliver_pohttp(gateway, good.serialized)

    assert (answer.status, answer.body, answer.headers["content-type"]) == (202, b"{}", "application/json")
    assert sha256_of(drain_queue(gateway.collection_url, peer)) == [good.sha256]


@pytest.mark.parametrize("address", [None, INTERNET_ADDRESS, INTERNET_ADDRESS.upper(), ANOTHER_ADDRESS])
def test_path_counts_and_not_the_address(gateway: GatewayProcess, address: str | None) -> None:
    peer = PrivateGateway.register(gateway)
    good = peer.make_parcel(internet_address=address)

    assert deliver_pohttp(gateway, good.serialized).status == 202

    assert sha256_of(drain_queue(gateway.collection_url, peer)) == [good.sha256]


@pytest.mark.parametrize("content_type", [f"{PARCEL_TYPE}; charset=utf-8", PARCEL_TYPE.upper()])
def test_media_type_of_requests_is_compared_leniently(
    gateway: GatewayProcess, peer: PrivateGateway, content_type: str
) -> None:
    answer = deliver_pohttp(gateway, parcel(peer), {"Content-Type": content_type})

    assert answer.status == 202


def test_chunked_parcel(gateway: GatewayProcess, peer: PrivateGateway) -> None:
    headers = {"Content-Type": PARCEL_TYPE}

    answer = exchange("POST", gateway.pohttp_url, parcel(peer), headers, chunked=True)

    assert answer.status == 202


def test_options(gateway: GatewayProcess) -> None:
    answer = exchange("OPTIONS", gateway.pohttp_url)

    assert (answer.status, answer.headers["allow"], answer.body) == (204, "OPTIONS, GET, HEAD, POST", b"")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_greeting(gateway: GatewayProcess, method: str) -> None:
    answer = exchange(method, gateway.pohttp_url)

    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain")
    assert bool(answer.body) == (method == "GET")


@pytest.mark.parametrize("accept", ["application/json", "application/json, text/plain;q=0.5"])
@pytest.mark.parametrize(
    ("content_type", "status"), [(PARCEL_TYPE, 400), ("text/plain", 415)], ids=["message", "request"]
)
def test_errors_in_json_for_those_who_want_it(
    gateway: GatewayProcess, accept: str, content_type: str, status: int
) -> None:
    answer = deliver_pohttp(gateway, b"Hello", {"Accept": accept, "Content-Type": content_type})

    assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    assert isinstance(json.loads(answer.body)["message"], str)


def test_too_large_in_json(gateway: GatewayProcess) -> None:
    answer = deliver_pohttp(gateway, bytes(MAX_RAMF_MESSAGE_SIZE + 1), {"Accept": "application/json"})

    assert (answer.status, answer.headers["content-type"]) == (413, "application/json")
