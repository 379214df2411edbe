"""Registration over PoWeb: both steps, and what bad input gets."""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from awala.limits import MAX_REGISTRATION_REQUEST_SIZE
from awala.pki.certificate import Certificate
from awala.pki.keys import spki_der
from awala.registration import Registration, RegistrationAuthorization, RegistrationRequest
from tests import factories
from tests.functional.bad_input import Bad, assert_refused
from tests.functional.exchange import Response, exchange
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import (
    INTERNET_ADDRESS,
    REQUEST_TYPE,
    PrivateGateway,
    complete_registration,
    make_registration_request,
    pre_register,
)
from tests.functional.record import rows_of, state_of

pytestmark = pytest.mark.functional

PRE_REGISTRATION, NODES = "/v1/pre-registrations", "/v1/nodes"
NAME = "registering gateway"
LONGEST_AUTHORIZATION_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Dated:
    """An authorisation that a test will have to wait for to expire."""

    serialized: bytes
    at: float


@pytest.fixture(scope="module", autouse=True)
def old_authorization(gateway: GatewayProcess) -> Dated:
    """Given as the module begins, so that it has expired when its test comes last."""
    return Dated(serialized=pre_register(gateway, NAME).body, at=time.monotonic())


@pytest.fixture(scope="module")
def peer(gateway: GatewayProcess) -> PrivateGateway:
    return PrivateGateway.register(gateway)


def authorize(process: GatewayProcess, name: str = NAME) -> bytes:
    answer = pre_register(process, name)
    assert answer.status == 200
    return answer.body


def digest(_: PrivateGateway) -> bytes:
    return hashlib.sha256(factories.spki_of(NAME)).hexdigest().encode()


def request_with_another_countersignature(peer: PrivateGateway) -> bytes:
    request = RegistrationRequest(
        public_key_der=factories.spki_of(NAME), authorization_serialized=authorize(peer.process)
    )
    return request.serialize(factories.rsa_key("stranger"))


def request_of_a_short_key(peer: PrivateGateway) -> bytes:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=1024)  # noqa: S505 - it is to be refused
    public_key_der = spki_der(key.public_key())
    body = hashlib.sha256(public_key_der).hexdigest().encode()
    answer = exchange("POST", peer.process.poweb_url + PRE_REGISTRATION, body, {"Content-Type": "text/plain"})
    return RegistrationRequest(public_key_der=public_key_der, authorization_serialized=answer.body).serialize(key)


def request_with_anothers_authorization(_: PrivateGateway) -> bytes:
    """Granted by another gateway, and of the form that ours have."""
    granted = RegistrationAuthorization(
        expiry=datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=9),
        gateway_data=hashlib.sha256(factories.spki_of(NAME)).digest() + bytes(16),
    )
    return make_registration_request(NAME, granted.serialize(factories.rsa_key("another gateway")))


def pre_registration(body: Callable[[PrivateGateway], bytes], status: int, **values: object) -> Bad:
    fields = {"path": PRE_REGISTRATION, "headers": {"Content-Type": "text/plain"}} | values
    return Bad(status=status, body=body, **fields)  # type: ignore[arg-type]


def registration(body: Callable[[PrivateGateway], bytes], status: int, **values: object) -> Bad:
    fields = {"path": NODES, "headers": {"Content-Type": REQUEST_TYPE}} | values
    return Bad(status=status, body=body, **fields)  # type: ignore[arg-type]


BAD_REQUESTS: Mapping[str, Bad] = {
    "pre-registration without media type": pre_registration(digest, 415, headers={}),
    "pre-registration of another media type": pre_registration(digest, 415, headers={"Content-Type": "text/html"}),
    "pre-registration with nothing": pre_registration(lambda _: b"", 400),
    "pre-registration with 63 digits": pre_registration(lambda peer: digest(peer)[1:], 400),
    "pre-registration with 65 digits": pre_registration(lambda peer: digest(peer) + b"0", 413),
    "pre-registration with 65 digits, chunked": pre_registration(
        lambda peer: digest(peer) + b"0", 413, is_chunked=True
    ),
    "pre-registration with other characters": pre_registration(lambda _: b"g" * 64, 400),
    "pre-registration with a new line": pre_registration(lambda peer: digest(peer)[1:] + b"\n", 400),
    "registration without media type": registration(request_with_anothers_authorization, 415, headers={}),
    "registration of another media type": registration(
        request_with_anothers_authorization, 415, headers={"Content-Type": "application/octet-stream"}
    ),
    "registration with nothing": registration(lambda _: b"", 400),
    "registration with something else": registration(lambda _: b"Hello", 400),
    "registration with a bad countersignature": registration(request_with_another_countersignature, 400),
    "registration of a short key": registration(request_of_a_short_key, 400),
    "registration authorised by something else": registration(
        lambda _: make_registration_request(NAME, b"authorization"), 400
    ),
    "registration authorised by another gateway": registration(request_with_anothers_authorization, 400),
    "registration authorised for another key": registration(
        lambda peer: make_registration_request(NAME, authorize(peer.process, "another key")), 403
    ),
    "registration too large": registration(lambda _: bytes(MAX_REGISTRATION_REQUEST_SIZE + 1), 413),
    "registration too large, chunked": registration(
        lambda _: bytes(MAX_REGISTRATION_REQUEST_SIZE + 1), 413, is_chunked=True
    ),
    "registration as large as may be": registration(lambda _: bytes(MAX_REGISTRATION_REQUEST_SIZE), 400),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_bad_input(gateway: GatewayProcess, peer: PrivateGateway, name: str) -> None:
    assert_refused(gateway, gateway.poweb_url, BAD_REQUESTS[name], peer)


@pytest.mark.parametrize("path", [PRE_REGISTRATION, "/v1/pre-registration"])
@pytest.mark.parametrize("content_type", ["text/plain", "text/plain; charset=UTF-8"])
def test_pre_registration(gateway: GatewayProcess, path: str, content_type: str) -> None:
    body = hashlib.sha256(factories.spki_of(NAME)).hexdigest().upper().encode()
    before = state_of(gateway)

    answer = exchange("POST", gateway.poweb_url + path, body, {"Content-Type": content_type})

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/vnd.awala.node-registration.authorization"
    # An authorisation costs us nothing until it is used.
    assert state_of(gateway) == before


def test_authorization_expires_within_ten_seconds(gateway: GatewayProcess) -> None:
    (digits,) = re.findall(rb"\x80\x0e(\d{14})", authorize(gateway))

    expiry = datetime.strptime(digits.decode(), "%Y%m%d%H%M%S").replace(tzinfo=UTC)

    assert timedelta(seconds=7) < expiry - datetime.now(UTC) <= timedelta(seconds=10)


def test_authorizations_differ(gateway: GatewayProcess) -> None:
    assert authorize(gateway) != authorize(gateway)


def test_registration(gateway: GatewayProcess) -> None:
    answer = complete_registration(gateway, "new", authorize(gateway, "new"))

    given = Registration.deserialize(answer.body)
    node, own = given.node_certificate, given.gateway_certificate
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/vnd.awala.node-registration.registration"
    assert given.gateway_internet_address == INTERNET_ADDRESS
    assert given.session_key is not None
    assert (node.node_id, node.path_length, node.is_ca) == (factories.id_of("new"), 1, True)
    node.verify_signature(own)
    (row,) = rows_of(gateway, "peer", node_id=node.node_id)
    assert (row["state"], row["public_key_der"]) == ("active", factories.spki_of("new"))
    assert len(rows_of(gateway, "storedkey", peer_id=node.node_id)) == 1


def test_renewal(gateway: GatewayProcess) -> None:
    """Clients register again when their certificate has 90 days left, or when they please."""
    first = PrivateGateway.register(gateway, "renewing")

    second = PrivateGateway.register(gateway, "renewing")

    assert first.certificate.serial_number != second.certificate.serial_number
    assert first.session_key != second.session_key
    assert len(rows_of(gateway, "peer", node_id=first.node_id)) == 1
    # Parcels may still come that were encrypted to the first one.
    assert len(rows_of(gateway, "storedkey", peer_id=first.node_id)) == 2


def test_certificate_lives_no_longer_than_its_issuer(peer: PrivateGateway) -> None:
    lifetime = peer.certificate.not_after - peer.certificate.not_before

    assert peer.certificate.not_after <= peer.gateway_certificate.not_after
    assert timedelta(days=179) < lifetime <= timedelta(days=180)


def test_authorization_is_used_once(gateway: GatewayProcess) -> None:
    authorization = authorize(gateway)
    assert complete_registration(gateway, NAME, authorization).status == 200
    before = state_of(gateway)

    answer = complete_registration(gateway, NAME, authorization)

    assert answer.status == 403
    assert state_of(gateway) == before


def test_authorization_used_by_many_at_once(gateway: GatewayProcess) -> None:
    authorization = authorize(gateway)

    with ThreadPoolExecutor(8) as threads:
        answers: Iterator[Response] = threads.map(
            lambda _: complete_registration(gateway, NAME, authorization), range(8)
        )
        statuses = sorted(answer.status for answer in answers)

    assert statuses == [200] + [403] * 7


@pytest.mark.parametrize("bits", [3072, 4096])
def test_longer_keys(gateway: GatewayProcess, bits: int) -> None:
    key = factories.rsa_key("long", bits)
    body = hashlib.sha256(factories.spki_of("long", bits)).hexdigest().encode()
    granted = exchange("POST", gateway.poweb_url + PRE_REGISTRATION, body, {"Content-Type": "text/plain"}).body
    request = RegistrationRequest(public_key_der=factories.spki_of("long", bits), authorization_serialized=granted)

    answer = exchange("POST", gateway.poweb_url + NODES, request.serialize(key), {"Content-Type": REQUEST_TYPE})

    certificate: Certificate = Registration.deserialize(answer.body).node_certificate
    assert certificate.spki_der == factories.spki_of("long", bits)


def test_expired_authorization(gateway: GatewayProcess, old_authorization: Dated) -> None:
    time.sleep(max(0.0, old_authorization.at + LONGEST_AUTHORIZATION_SECONDS + 0.1 - time.monotonic()))
    before = state_of(gateway)

    answer = complete_registration(gateway, NAME, old_authorization.serialized)

    assert answer.status == 400
    assert state_of(gateway) == before
