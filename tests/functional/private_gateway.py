"""Simulated nodes on the Python side: private gateways, with endpoints behind them and senders who may reach those.

Keys are those of tests/factories.py, by name; only a private gateway's is made for each, so that every test has a
queue of its own on a gateway that it shares.
"""

import base64
import hashlib
import itertools
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from awala.asn1 import oids
from awala.messages.parcel import Parcel
from awala.pki.certificate import Certificate
from awala.ramf import Recipient
from awala.registration import Registration, RegistrationRequest
from awala.session_key import SessionKey
from awala.signatures import sign_detached
from tests import factories
from tests.functional.exchange import Response, exchange
from tests.functional.gateway_process import GatewayProcess

PARCEL_TYPE = "application/vnd.awala.parcel"
REQUEST_TYPE = "application/vnd.awala.node-registration.request"
INTERNET_ADDRESS = "gateway.example.com"
ANOTHER_ADDRESS = "endpoint.example.com"

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class MadeParcel:
    id: str
    serialized: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.serialized).hexdigest()


@dataclass(frozen=True, kw_only=True)
class PrivateGateway:
    """One that has registered; its endpoint "endpoint" lets "sender" write to it."""

    name: str
    certificate: Certificate
    gateway_certificate: Certificate
    session_key: SessionKey | None
    process: GatewayProcess

    @classmethod
    def register(cls, process: GatewayProcess, name: str | None = None) -> Self:
        """The name stands for its key; without one it has a new key."""
        name = name or f"private gateway {next(_numbers)}"
        answer = complete_registration(process, name, pre_register(process, name).body)
        assert answer.status == 200, answer
        registration = Registration.deserialize(answer.body)
        return cls(
            name=name,
            certificate=registration.node_certificate,
            gateway_certificate=registration.gateway_certificate,
            session_key=registration.session_key,
            process=process,
        )

    @property
    def node_id(self) -> str:
        return self.certificate.node_id

    @property
    def chain(self) -> factories.Chain:
        """From the gateway's certificate down to the sender's authorisation."""
        endpoint = factories.endpoint_certificate(issuer=self.certificate)
        return factories.Chain(
            gateway=self.gateway_certificate,
            private_gateway=self.certificate,
            endpoint=endpoint,
            authorization=factories.delivery_authorization(issuer=endpoint),
        )

    def make_parcel(
        self,
        payload: bytes | None = None,
        *,
        parcel_id: str | None = None,
        chain: factories.Chain | None = None,
        ttl_seconds: int = 3_600,
        created: timedelta = timedelta(minutes=-1),
        internet_address: str | None = None,
        recipient_id: str | None = None,
    ) -> MadeParcel:
        """A parcel for its endpoint; whatever a test changes may make it invalid."""
        parcel = factories.private_parcel(
            chain or self.chain,
            message_id=parcel_id or str(uuid.uuid4()),
            creation_date=in_whole_seconds(created),
            ttl_seconds=ttl_seconds,
            payload=os.urandom(500) if payload is None else payload,
            internet_address=internet_address,
        )
        if recipient_id is not None:
            parcel = replace(parcel, recipient=Recipient(id=recipient_id, internet_address=internet_address))
        return made(parcel)

    def countersign(self, parcel_serialized: bytes) -> bytes:
        return sign_detached(
            parcel_serialized,
            oids.PARCEL_DELIVERY,
            private_key=factories.private_key_of(self.certificate),
            certificate=self.certificate,
        )

    def sign_nonce(self, nonce: bytes) -> bytes:
        return sign_detached(
            nonce,
            oids.PARCEL_COLLECTION_HANDSHAKE,
            private_key=factories.private_key_of(self.certificate),
            certificate=self.certificate,
        )

    def delivery_headers(self, parcel_serialized: bytes) -> dict[str, str]:
        return {
            "Content-Type": PARCEL_TYPE,
            "Authorization": authorization(self.countersign(parcel_serialized)),
        }

    def deliver(self, parcel: MadeParcel, headers: Mapping[str, str] | None = None) -> Response:
        """POST a parcel to the gateway's PoWeb."""
        sent = self.delivery_headers(parcel.serialized) | dict(headers or {})
        return exchange("POST", f"{self.process.poweb_url}/v1/parcels", parcel.serialized, sent)


def pre_register(process: GatewayProcess, name: str) -> Response:
    digest = hashlib.sha256(factories.spki_of(name)).hexdigest().encode()
    url = f"{process.poweb_url}/v1/pre-registrations"
    return exchange("POST", url, digest, {"Content-Type": "text/plain"})


def make_registration_request(name: str, registration_authorization: bytes) -> bytes:
    request = RegistrationRequest(
        public_key_der=factories.spki_of(name), authorization_serialized=registration_authorization
    )
    return request.serialize(factories.rsa_key(name))


def complete_registration(process: GatewayProcess, name: str, registration_authorization: bytes) -> Response:
    request = make_registration_request(name, registration_authorization)
    return exchange("POST", f"{process.poweb_url}/v1/nodes", request, {"Content-Type": REQUEST_TYPE})


def deliver_pohttp(
    process: GatewayProcess, parcel_serialized: bytes, headers: Mapping[str, str] | None = None
) -> Response:
    sent = {"Content-Type": PARCEL_TYPE} | dict(headers or {})
    return exchange("POST", process.pohttp_url, parcel_serialized, sent)


def make_internet_parcel(*, parcel_id: str | None = None, internet_address: str = ANOTHER_ADDRESS) -> MadeParcel:
    """A parcel for an endpoint on the Internet, by a sender who certifies itself."""
    parcel = factories.internet_parcel(
        recipient=Recipient(id=factories.id_of("internet endpoint"), internet_address=internet_address),
        message_id=parcel_id or str(uuid.uuid4()),
        creation_date=in_whole_seconds(timedelta(minutes=-1)),
    )
    return made(parcel)


def made(parcel: Parcel) -> MadeParcel:
    return MadeParcel(id=parcel.id, serialized=factories.serialized(parcel))


def authorization(countersignature: bytes, scheme: str = "Relaynet-Countersignature") -> str:
    return f"{scheme} {base64.b64encode(countersignature).decode()}"


def in_whole_seconds(from_now: timedelta) -> datetime:
    return (datetime.now(UTC) + from_now).replace(microsecond=0)
