"""The messages of Awala Ping, the service by which a network is tried out (RS-014).

Deployed pings come in two forms. The desktop app says what RS-014 says and more, in JSON: an id, the authorisation
to deliver the pong, and the Internet address of the gateway to deliver it to. The Android app sends the id alone,
after a message of type :data:`AUTHORIZATION_TYPE` with the authorisation for this and all later pongs. Earlier
forms, which no deployed app sends, are not read.
"""

import base64
import json
import re
from dataclasses import dataclass
from typing import Self

from awala.errors import InvalidArgumentError, MalformedMessageError
from awala.internet_address import is_publishable_address
from awala.limits import MAX_PING_SIZE
from awala.messages.certification_path import CertificationPath
from awala.messages.service_message import ServiceMessage

PING_TYPE = "application/vnd.awala.ping-v1.ping"
PONG_TYPE = "application/vnd.awala.ping-v1.pong"
# A service message whose content is a :class:`~awala.private_endpoint_params.PrivateEndpointConnParams`.
AUTHORIZATION_TYPE = "application/vnd+relaycorp.awala.pda-path"

# RS-014: 36 octets, which should be a UUID4; the apps send nothing else.
_ID = re.compile(r"[!-~]{36}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class PongRoute:
    """How to deliver a pong: whose leaf authorises the ping's recipient, and the gateway of the ping's sender.

    :raises InvalidArgumentError: if the address is none of a node
    """

    delivery_authorization: CertificationPath
    internet_gateway_address: str

    def __post_init__(self) -> None:
        if not is_publishable_address(self.internet_gateway_address):
            raise InvalidArgumentError("Internet address in a ping is malformed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ping:
    """A ping; without ``route`` its sender has told by another message how to answer.

    :raises InvalidArgumentError: if the id has not 36 printable characters
    """

    id: str
    route: PongRoute | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise InvalidArgumentError("Ping id has not 36 printable characters")

    @classmethod
    def deserialize(cls, content: bytes) -> Self:
        """Read the content of a service message of type :data:`PING_TYPE`; no certificate is validated.

        :raises MalformedMessageError: if it is something else, or too large
        :raises InvalidSignatureError: if a certificate is signed with an algorithm that RS-018 bans
        """
        if len(content) > MAX_PING_SIZE:
            raise MalformedMessageError("Ping is too large")
        try:
            if content.startswith(b"{"):
                return cls._from_json(content)
            return cls(id=content.decode("latin-1"))
        except InvalidArgumentError as error:
            raise MalformedMessageError(str(error)) from error

    @classmethod
    def _from_json(cls, content: bytes) -> Self:
        try:
            members = json.loads(content.decode())
        except (ValueError, RecursionError) as error:
            raise MalformedMessageError("Ping is no JSON document") from error
        path = CertificationPath.deserialize(_decode_base64(_text(members, "pda_path")))
        address = _text(members, "endpoint_internet_address")
        route = PongRoute(delivery_authorization=path, internet_gateway_address=address)
        return cls(id=_text(members, "id"), route=route)

    def serialize(self) -> bytes:
        """Return the content in the desktop app's form if there is a route, in the Android app's if there is none."""
        if self.route is None:
            return self.id.encode()
        path = base64.b64encode(self.route.delivery_authorization.serialize()).decode()
        address = self.route.internet_gateway_address
        return json.dumps({"id": self.id, "pda_path": path, "endpoint_internet_address": address}).encode()

    def message(self) -> ServiceMessage:
        """Return the service message that is this ping."""
        return ServiceMessage(type=PING_TYPE, content=self.serialize())

    def pong(self) -> ServiceMessage:
        """Return the service message that answers this ping: its id and nothing else (RS-014)."""
        return ServiceMessage(type=PONG_TYPE, content=self.id.encode())


def _text(members: dict[str, object], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise MalformedMessageError(f"Ping lacks the text {name}")
    return value


def _decode_base64(text: str) -> bytes:
    """Decode what may be broken into lines, as Android's encoder does unless told otherwise."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise MalformedMessageError("Authorisation in a ping is not in Base64") from error
