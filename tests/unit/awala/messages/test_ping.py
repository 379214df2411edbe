import base64
import json

import pytest

from awala.errors import InvalidArgumentError, MalformedMessageError
from awala.limits import MAX_PING_SIZE
from awala.messages.certification_path import CertificationPath
from awala.messages.ping import PING_TYPE, PONG_TYPE, Ping, PongRoute
from tests.factories import chain

PING_ID = "f7b1ad0d-3a5e-4f8b-9c0e-0b8c54c3a3f1"
CHAIN = chain()
PATH = CertificationPath(leaf=CHAIN.authorization, authorities=(CHAIN.endpoint, CHAIN.private_gateway))
ROUTE = PongRoute(delivery_authorization=PATH, internet_gateway_address="gateway.example")
PATH_IN_BASE64 = base64.b64encode(PATH.serialize()).decode()
MEMBERS: dict[str, object] = {
    "id": PING_ID,
    "endpoint_internet_address": "gateway.example",
    "pda_path": PATH_IN_BASE64,
}


def document(**changes: object) -> bytes:
    """Return a ping in JSON; members that are ``None`` are left out."""
    members = {name: value for name, value in (MEMBERS | changes).items() if value is not None}
    return json.dumps(members).encode()


class TestDeserialize:
    def test_form_of_the_desktop_app(self) -> None:
        assert Ping.deserialize(document()) == Ping(id=PING_ID, route=ROUTE)

    def test_form_of_the_android_app(self) -> None:
        assert Ping.deserialize(PING_ID.encode()) == Ping(id=PING_ID)

    def test_base64_in_lines(self) -> None:
        """Android's encoder breaks lines after 76 characters, and ends the last one."""
        in_lines = base64.encodebytes(PATH.serialize()).decode()

        assert Ping.deserialize(document(pda_path=in_lines)) == Ping(id=PING_ID, route=ROUTE)

    def test_path_in_the_jvm_encoding(self) -> None:
        implicit = base64.b64encode(PATH.serialize_implicit()).decode()

        assert Ping.deserialize(document(pda_path=implicit)) == Ping(id=PING_ID, route=ROUTE)

    def test_other_members_are_skipped(self) -> None:
        assert Ping.deserialize(document(pda="", pda_chain=[])) == Ping(id=PING_ID, route=ROUTE)

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(PING_ID[:-1].encode(), id="id of 35 characters"),
            pytest.param(f"{PING_ID}0".encode(), id="id of 37 characters"),
            pytest.param(b"\n" * 36, id="id of white space"),
            pytest.param(b"\xe9" * 36, id="id that is not ASCII"),
            pytest.param(b"{", id="cut short"),
            pytest.param(b"{}", id="no members"),
            pytest.param(b'{"id": "\xff"}', id="not UTF-8"),
            pytest.param(document().decode().encode("utf-16-le"), id="UTF-16"),
            pytest.param(document() + b"{}", id="octets after the document"),
            pytest.param(b'{"a":' * 10_000, id="nested without end"),
            pytest.param(b'{"a":' + b"9" * 5_000 + b"}", id="number of 5000 digits"),
            pytest.param(document(id=None), id="no id"),
            pytest.param(document(id=1), id="id that is no text"),
            pytest.param(document(id="short"), id="short id"),
            pytest.param(document(id="\u0661" * 36), id="id of other digits"),
            pytest.param(document(pda_path=None), id="no authorisation"),
            pytest.param(document(pda_path=[PATH_IN_BASE64]), id="authorisation that is no text"),
            pytest.param(document(pda_path=PATH.serialize().hex()), id="authorisation in hexadecimal"),
            pytest.param(document(pda_path="\u00e9"), id="authorisation that is not ASCII"),
            pytest.param(document(pda_path=PATH_IN_BASE64[:-4]), id="authorisation cut short"),
            pytest.param(document(pda_path=""), id="empty authorisation"),
            pytest.param(document(endpoint_internet_address=None), id="no address"),
            pytest.param(document(endpoint_internet_address=443), id="address that is no text"),
            pytest.param(document(endpoint_internet_address="localhost"), id="address that is no domain"),
            pytest.param(document(endpoint_internet_address="a.example/path"), id="address with a path"),
            pytest.param(document(padding="a" * MAX_PING_SIZE), id="too large"),
        ],
    )
    def test_refuses(self, content: bytes) -> None:
        with pytest.raises(MalformedMessageError):
            Ping.deserialize(content)

    def test_says_what_is_missing(self) -> None:
        with pytest.raises(MalformedMessageError, match="endpoint_internet_address"):
            Ping.deserialize(document(endpoint_internet_address=None))


class TestSerialize:
    def test_with_route(self) -> None:
        assert json.loads(Ping(id=PING_ID, route=ROUTE).serialize()) == MEMBERS

    def test_without_route(self) -> None:
        assert Ping(id=PING_ID).serialize() == PING_ID.encode()

    @pytest.mark.parametrize("ping", [Ping(id=PING_ID), Ping(id=PING_ID, route=ROUTE)])
    def test_round_trip(self, ping: Ping) -> None:
        assert Ping.deserialize(ping.serialize()) == ping


def test_message() -> None:
    message = Ping(id=PING_ID).message()

    assert (message.type, message.content) == (PING_TYPE, PING_ID.encode())


@pytest.mark.parametrize("route", [None, ROUTE])
def test_pong_is_the_id_alone(route: PongRoute | None) -> None:
    pong = Ping(id=PING_ID, route=route).pong()

    assert (pong.type, pong.content) == (PONG_TYPE, PING_ID.encode())


def test_malformed_id_of_ours() -> None:
    with pytest.raises(InvalidArgumentError, match="36"):
        Ping(id="short")


def test_malformed_address_of_ours() -> None:
    with pytest.raises(InvalidArgumentError, match="address"):
        PongRoute(delivery_authorization=PATH, internet_gateway_address="localhost")
