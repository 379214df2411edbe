import base64
import hashlib

import pytest

from awala.asn1 import oids
from awala.clients.collection import Signer
from awala.clients.errors import (
    InvalidAnswerError,
    RefusedParcelError,
    RejectedRequestError,
    ServerUnavailableError,
)
from awala.clients.poweb import PoWebClient
from awala.connection_params import NodeConnectionParams
from awala.errors import InvalidArgumentError
from awala.registration import Registration, RegistrationRequest
from awala.session_key import generate_session_key
from awala.signatures import verify_detached
from tests import factories
from tests.unit.awala.clients.http_server import Behaviour, Reply, Request, replies, serve

KEY = factories.rsa_key("private gateway")
GATEWAY = factories.gateway_certificate()
CERTIFICATE = factories.gateway_certificate("private gateway", issuer=GATEWAY)
SIGNER = Signer(private_key=KEY, certificate=CERTIFICATE)
REGISTRATION = Registration(
    node_certificate=CERTIFICATE,
    gateway_certificate=GATEWAY,
    gateway_internet_address="gateway.example.com",
    session_key=generate_session_key()[0],
)
AUTHORIZATION_TYPE = "application/vnd.awala.node-registration.authorization"
REGISTRATION_TYPE = "application/vnd.awala.node-registration.registration"
CONNECTION_PARAMS_TYPE = "application/vnd.etsi.tsl.der"
AUTHORIZATION = Reply(headers={"Content-Type": AUTHORIZATION_TYPE}, body=b"authorization")


def registering(octets: bytes) -> Behaviour:
    return replies(AUTHORIZATION, Reply(headers={"Content-Type": REGISTRATION_TYPE}, body=octets))


@pytest.mark.parametrize("url", ["ws://example.com", "example.com"])
def test_url_of_another_kind(url: str) -> None:
    with pytest.raises(InvalidArgumentError, match="URL"):
        PoWebClient(url)


class TestConnectionParams:
    def test_are_fetched(self) -> None:
        params = NodeConnectionParams(
            internet_address="gateway.example.com",
            identity_key_der=GATEWAY.spki_der,
            session_key=generate_session_key()[0],
        )
        reply = Reply(headers={"Content-Type": CONNECTION_PARAMS_TYPE}, body=params.serialize())
        with serve(replies(reply)) as server, PoWebClient(server.url) as client:
            assert client.fetch_connection_params() == params
        assert [(asked.method, asked.path) for asked in server.requests] == [("GET", "/connection-params.der")]

    def test_that_cannot_be_read(self) -> None:
        reply = Reply(headers={"Content-Type": CONNECTION_PARAMS_TYPE}, body=b"nonsense")
        with (
            serve(replies(reply)) as server,
            PoWebClient(server.url) as client,
            pytest.raises(InvalidAnswerError, match="no valid connection parameters"),
        ):
            client.fetch_connection_params()


class TestRegister:
    def test_pre_registration_sends_the_digest_of_the_key(self) -> None:
        with serve(replies(AUTHORIZATION)) as server, PoWebClient(server.url) as client:
            assert client.pre_register(KEY.public_key()) == b"authorization"
        [asked] = server.requests
        assert (asked.method, asked.path) == ("POST", "/v1/pre-registrations")
        assert asked.headers["Content-Type"] == "text/plain"
        assert asked.body == hashlib.sha256(CERTIFICATE.spki_der).hexdigest().encode()

    def test_authorization_is_sent_back(self) -> None:
        with serve(registering(REGISTRATION.serialize())) as server, PoWebClient(server.url) as client:
            assert client.register(KEY) == REGISTRATION
        asked = server.requests[1]
        assert (asked.method, asked.path) == ("POST", "/v1/nodes")
        assert asked.headers["Content-Type"] == "application/vnd.awala.node-registration.request"
        request = RegistrationRequest.deserialize(asked.body)
        assert request.public_key_der == CERTIFICATE.spki_der
        assert request.authorization_serialized == b"authorization"

    def test_registration_that_cannot_be_read(self) -> None:
        with (
            serve(registering(b"nonsense")) as server,
            PoWebClient(server.url) as client,
            pytest.raises(InvalidAnswerError, match="no valid registration"),
        ):
            client.register(KEY)

    def test_registration_of_another_key(self) -> None:
        with (
            serve(registering(REGISTRATION.serialize())) as server,
            PoWebClient(server.url) as client,
            pytest.raises(InvalidAnswerError, match="another key"),
        ):
            client.register(factories.rsa_key("other"))

    @pytest.mark.parametrize("content_type", ["text/plain", AUTHORIZATION_TYPE + "; charset=utf-8", ""])
    def test_answer_of_another_type(self, content_type: str) -> None:
        with (
            serve(replies(Reply(headers={"Content-Type": content_type}))) as server,
            PoWebClient(server.url) as client,
            pytest.raises(InvalidAnswerError, match="of type"),
        ):
            client.register(KEY)

    @pytest.mark.parametrize(("status", "error"), [(403, RejectedRequestError), (503, ServerUnavailableError)])
    def test_failure(self, status: int, error: type[Exception]) -> None:
        with serve(replies(Reply(status=status))) as server, PoWebClient(server.url) as client, pytest.raises(error):
            client.register(KEY)


class TestDeliverParcel:
    def test_countersigned(self) -> None:
        with serve(replies(Reply(status=202))) as server, PoWebClient(server.url) as client:
            client.deliver_parcel(b"parcel", SIGNER)
        [asked] = server.requests
        assert (asked.method, asked.path, asked.body) == ("POST", "/v1/parcels", b"parcel")
        assert asked.headers["Content-Type"] == "application/vnd.awala.parcel"
        assert self._verified_signer(asked) == CERTIFICATE.node_id

    def _verified_signer(self, asked: Request) -> str:
        scheme, signature = asked.headers["Authorization"].split()
        assert scheme == "Relaynet-Countersignature"
        return verify_detached(
            base64.b64decode(signature, validate=True),
            asked.body,
            oids.PARCEL_DELIVERY,
            trusted=(GATEWAY,),
            now=factories.NOW,
        ).node_id

    def test_refusal_is_for_good(self) -> None:
        with (
            serve(replies(Reply(status=422, body=b"Parcel has expired"))) as server,
            PoWebClient(server.url) as client,
            pytest.raises(RefusedParcelError, match="HTTP 422: Parcel has expired"),
        ):
            client.deliver_parcel(b"parcel", SIGNER)

    @pytest.mark.parametrize("status", [400, 401, 415])
    def test_rejected_request_says_nothing_of_the_parcel(self, status: int) -> None:
        with (
            serve(replies(Reply(status=status))) as server,
            PoWebClient(server.url) as client,
            pytest.raises(RejectedRequestError) as caught,
        ):
            client.deliver_parcel(b"parcel", SIGNER)
        assert not isinstance(caught.value, RefusedParcelError)
        assert caught.value.status == status

    def test_server_that_cannot_serve_now(self) -> None:
        with (
            serve(replies(Reply(status=503))) as server,
            PoWebClient(server.url) as client,
            pytest.raises(ServerUnavailableError),
        ):
            client.deliver_parcel(b"parcel", SIGNER)
