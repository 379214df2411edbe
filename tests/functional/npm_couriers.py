"""The published clients where there is no Internet: couriers, private gateways with their cargo, pings and pongs."""

from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.functional import npm_answers
from tests.functional.npm_cargo_values import (
    CargoAcknowledgement,
    CargoCollection,
    CargoDelivery,
    CargoItem,
    CollectedCargo,
    CourierFailure,
    CourierServer,
    Items,
    MadeCargo,
    MadePing,
    MadePong,
    NpmPrivateGateway,
    ParsedPCA,
    ParsedRotation,
    PrivateGatewayState,
    UnwrappedCargo,
)
from tests.functional.npm_readers import NpmReaders, Octets
from tests.functional.npm_values import Identity, PublicSessionKey, Registration, SessionKeyPair, Signer

__all__ = [
    "CargoCollection",
    "CargoDelivery",
    "CargoItem",
    "CollectedCargo",
    "CourierFailure",
    "CourierServer",
    "MadeCargo",
    "MadePing",
    "MadePong",
    "NpmCouriers",
    "NpmPrivateGateway",
    "ParsedPCA",
    "ParsedRotation",
    "PrivateGatewayState",
    "UnwrappedCargo",
]

ITEM_LIFETIME = timedelta(days=1)

Answer = dict[str, Any]


class NpmCouriers(NpmReaders):
    """The sneakernet half of `NpmClients`."""

    # ------------------------------------------------------------------ couriers

    def deliver_cargo(
        self,
        server: CourierServer,
        cargoes: Sequence[Octets],
        *,
        pause_seconds: float = 0,
        patience_seconds: float | None = None,
    ) -> CargoDelivery:
        """In one call, which the library ends after 3 s, or as soon as all that it sent is acknowledged.

        `pause_seconds` are between cargoes, as when a courier reads them from a slow disk.
        """
        answer = self._call(
            "deliver_cargo",
            **_courier_server(server),
            cargoes=list(cargoes),
            pauseMs=pause_seconds * 1000,
            patienceMs=_milliseconds(patience_seconds),
        )
        acknowledgements = [
            CargoAcknowledgement(index=each["index"], at_seconds=each["atMs"] / 1000)
            for each in answer.get("acknowledgements", ())
        ]
        return CargoDelivery(**_outcome(answer), sent=answer.get("sent", 0), acknowledgements=tuple(acknowledgements))

    def collect_cargo(
        self,
        server: CourierServer,
        cca: Octets,
        *,
        acknowledge: bool = True,
        pause_seconds: float = 0,
        max_cargoes: int | None = None,
        patience_seconds: float | None = None,
    ) -> CargoCollection:
        """In one call, which the library ends after 3 s. It acknowledges a cargo when it is asked for the next."""
        answer = self._call(
            "collect_cargo",
            **_courier_server(server),
            cca=cca,
            acknowledge=acknowledge,
            pauseMs=pause_seconds * 1000,
            maxCargoes=max_cargoes,
            patienceMs=_milliseconds(patience_seconds),
        )
        cargoes = [
            CollectedCargo(
                serialized=self._process.decode(each["octets"]), sha256=each["sha256"], at_seconds=each["atMs"] / 1000
            )
            for each in answer.get("cargoes", ())
        ]
        return CargoCollection(**_outcome(answer), cargoes=tuple(cargoes))

    # ------------------------------------------------------------------ private gateways

    def create_private_gateway(
        self, identity: Identity, registration: Registration, *, registered_at: datetime | None = None
    ) -> NpmPrivateGateway:
        """Its first messages are encrypted to the session key of the registration.

        The library goes on with that key until cargo comes that is dated after the registration: with cargo that is
        dated back by three hours, for as long, unless the registration is said to be older.
        """
        key = registration.session_key
        assert key is not None
        answer = self._call(
            "create_private_gateway",
            key=identity.handle,
            certificate=registration.certificate_der,
            gatewayCertificate=registration.gateway_certificate_der,
            sessionKey=_session_key(key),
            internetAddress=registration.internet_address,
            registrationDate=None if registered_at is None else registered_at.isoformat(),
        )
        return NpmPrivateGateway(
            handle=answer["handle"], identity=identity, internet_gateway_id=answer["internetGatewayId"]
        )

    def describe_private_gateway(self, gateway: NpmPrivateGateway) -> PrivateGatewayState:
        answer = self._call("describe_private_gateway", gateway=gateway.handle)
        return PrivateGatewayState(
            certificate_der=b64decode(answer["certificate"]), session_key_id=b64decode(answer["sessionKeyId"])
        )

    def save_session_key(self, gateway: NpmPrivateGateway, key: PublicSessionKey, created_at: datetime) -> None:
        """As if a message of that date had brought the key; older ones than the last are ignored."""
        self._call(
            "save_session_key",
            gateway=gateway.handle,
            sessionKey=_session_key(key),
            creationDate=created_at.isoformat(),
        )

    def make_cca(self, gateway: NpmPrivateGateway) -> bytes:
        """With a new session key, and an authorisation to send cargo by a certificate that it issued to itself."""
        return self._process.decode(self._call("make_cca", gateway=gateway.handle)["cca"])

    def make_cargoes(self, gateway: NpmPrivateGateway, items: Items) -> list[MadeCargo]:
        """As many as the library needs for the items; ones without a date expire in a day."""
        params = [_dated(item) for item in items]
        answer = self._call("make_cargoes", gateway=gateway.handle, items=params)
        return [
            MadeCargo(serialized=self._process.decode(each["octets"]), sha256=each["sha256"])
            for each in answer["cargoes"]
        ]

    def unwrap_cargo(self, gateway: NpmPrivateGateway, cargo: Octets) -> UnwrappedCargo:
        """As a private gateway does it: its session and, by a rotation, its certificate move on."""
        answer = self._call("unwrap_cargo", gateway=gateway.handle, cargo=cargo)
        return UnwrappedCargo(
            id=answer["id"],
            recipient_id=answer["recipient"]["id"],
            sender_id=answer["senderId"],
            created_at=datetime.fromisoformat(answer["creationDate"]),
            ttl_seconds=answer["ttl"],
            items=tuple(self._read_item(item) for item in answer["items"]),
        )

    def _read_item(self, answer: Answer) -> CargoItem:
        return CargoItem(
            kind=answer["kind"],
            serialized=self._process.decode(answer["octets"]),
            sha256=answer["sha256"],
            parcel=npm_answers.parcel(answer["parcel"]) if "parcel" in answer else None,
            invalid=answer.get("invalid"),
            pca=_pca(answer["pca"]) if "pca" in answer else None,
            rotation=_rotation(answer["rotation"]) if "rotation" in answer else None,
            accepted=answer.get("accepted"),
            error=answer.get("error"),
        )

    # ------------------------------------------------------------------ what stands in cargo

    def make_pca(self, *, sender_id: str, recipient_id: str, parcel_id: str) -> bytes:
        answer = self._call("make_pca", senderId=sender_id, recipientId=recipient_id, parcelId=parcel_id)
        return b64decode(answer["pca"])

    def parse_pca(self, octets: Octets) -> ParsedPCA:
        return _pca(self._call("parse_pca", octets=octets))

    def make_rotation(self, leaf_der: bytes, authorities_der: Sequence[bytes]) -> bytes:
        answer = self._call("make_rotation", leaf=leaf_der, authorities=list(authorities_der))
        return b64decode(answer["rotation"])

    def parse_rotation(self, octets: Octets) -> ParsedRotation:
        return _rotation(self._call("parse_rotation", octets=octets))

    def make_message_set(self, items: Sequence[bytes]) -> bytes:
        return self._process.decode(self._call("make_message_set", items=list(items))["set"])

    def parse_message_set(self, octets: Octets) -> list[bytes]:
        answer = self._call("parse_message_set", octets=octets)
        return [self._process.decode(item) for item in answer["items"]]

    # ------------------------------------------------------------------ pings and pongs

    def make_ping(
        self,
        sender: Signer,
        gateway_certificate_der: bytes,
        *,
        internet_address: str,
        recipient_spki_der: bytes,
        recipient_id: str,
        recipient_session_key: PublicSessionKey,
        recipient_internet_address: str | None,
        authorization_der: bytes | None = None,
        chain: Sequence[bytes] = (),
    ) -> MadePing:
        """By a private endpoint, whose private gateway's certificate and Internet gateway's address the pong will need.

        To a private endpoint, give what it authorised the sender by; an Internet endpoint needs no authorisation.
        """
        answer = self._call(
            "make_ping",
            key=sender.identity.handle,
            certificate=sender.certificate_der,
            gatewayCertificate=gateway_certificate_der,
            internetAddress=internet_address,
            recipient={"id": recipient_id, "internetAddress": recipient_internet_address},
            recipientSpki=recipient_spki_der,
            sessionKey=_session_key(recipient_session_key),
            authorization=authorization_der,
            chain=list(chain),
        )
        key = answer["sessionKey"]
        return MadePing(
            **self._read_parcel(answer),
            session_key=SessionKeyPair(handle=key["handle"], public=npm_answers.session_key(key)),
        )

    def answer_ping(self, identity: Identity, session_key: SessionKeyPair, parcel: Octets) -> MadePong:
        """By the pong endpoint of that identity, which the ping was encrypted to the session key of."""
        answer = self._call("answer_ping", key=identity.handle, sessionKey=session_key.handle, parcel=parcel)
        return MadePong(**self._read_parcel(answer))

    def _read_parcel(self, answer: Answer) -> dict[str, Any]:
        return {
            "ping_id": answer["pingId"],
            "parcel_id": answer["id"],
            "serialized": self._process.decode(answer["parcel"]),
            "sha256": answer["sha256"],
            "expires_at": datetime.fromisoformat(answer["expiryDate"]),
        }


def _courier_server(server: CourierServer) -> Answer:
    return {"host": server.host, "port": server.port, "tls": server.tls}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _outcome(answer: Answer) -> dict[str, Any]:
    error = answer["error"]
    return {"seconds": answer["elapsedMs"] / 1000, "failure": None if error is None else CourierFailure(**error)}


def _dated(item: bytes | tuple[bytes, datetime]) -> Answer:
    message, expires_at = (item, datetime.now(UTC) + ITEM_LIFETIME) if isinstance(item, bytes) else item
    return {"message": message, "expiryDate": expires_at.isoformat()}


def _session_key(key: PublicSessionKey) -> Answer:
    return {"keyId": key.key_id, "publicKey": key.public_key_der}


def _pca(answer: Answer) -> ParsedPCA:
    return ParsedPCA(sender_id=answer["senderId"], recipient_id=answer["recipientId"], parcel_id=answer["parcelId"])


def _rotation(answer: Answer) -> ParsedRotation:
    return ParsedRotation(
        leaf_der=b64decode(answer["leaf"]),
        authorities_der=tuple(b64decode(authority) for authority in answer["authorities"]),
    )
