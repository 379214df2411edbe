"""From the JSON that the Node process answers to values."""

from base64 import b64decode
from datetime import datetime
from typing import Any

from tests.functional.npm_values import (
    CertificationPath,
    ConnectionParams,
    Identity,
    ParsedCertificate,
    ParsedParcel,
    PublicSessionKey,
    Registration,
    RegistrationAuthorization,
    RegistrationRequest,
)

Answer = dict[str, Any]


def identity(answer: Answer) -> Identity:
    return Identity(handle=answer["handle"], node_id=answer["nodeId"], spki_der=b64decode(answer["spki"]))


def session_key(answer: Answer) -> PublicSessionKey:
    return PublicSessionKey(key_id=b64decode(answer["keyId"]), public_key_der=b64decode(answer["publicKey"]))


def certificate(answer: Answer) -> ParsedCertificate:
    return ParsedCertificate(
        node_id=answer["nodeId"],
        common_name=answer["commonName"],
        issuer_id=answer["issuerId"],
        serial_number=answer["serialNumber"],
        not_before=datetime.fromisoformat(answer["notBefore"]),
        not_after=datetime.fromisoformat(answer["notAfter"]),
        path=_path(answer),
    )


def parcel(answer: Answer) -> ParsedParcel:
    recipient = answer["recipient"]
    return ParsedParcel(
        id=answer["id"],
        recipient_id=recipient["id"],
        recipient_internet_address=recipient.get("internetAddress"),
        sender_id=answer["senderId"],
        sender_certificate_der=b64decode(answer["senderCertificate"]),
        created_at=datetime.fromisoformat(answer["creationDate"]),
        ttl_seconds=answer["ttl"],
        payload_size=answer["payloadSize"],
        payload_sha256=answer["payloadSha256"],
        path=_path(answer),
    )


def registration(answer: Answer) -> Registration:
    key = answer["sessionKey"]
    return Registration(
        certificate_der=b64decode(answer["certificate"]),
        gateway_certificate_der=b64decode(answer["gatewayCertificate"]),
        internet_address=answer["internetAddress"],
        session_key=None if key is None else session_key(key),
    )


def connection_params(answer: Answer) -> ConnectionParams:
    return ConnectionParams(
        internet_address=answer["internetAddress"],
        identity_key_der=b64decode(answer["identityKey"]),
        session_key=session_key(answer["sessionKey"]),
        content_type=answer.get("contentType"),
    )


def registration_authorization(answer: Answer) -> RegistrationAuthorization:
    return RegistrationAuthorization(
        expires_at=datetime.fromisoformat(answer["expiryDate"]),
        gateway_data=b64decode(answer["gatewayData"]),
    )


def registration_request(answer: Answer) -> RegistrationRequest:
    return RegistrationRequest(spki_der=b64decode(answer["spki"]), authorization=b64decode(answer["authorization"]))


def certification_path(answer: Answer) -> CertificationPath:
    return CertificationPath(
        leaf_der=b64decode(answer["leaf"]),
        authorities_der=tuple(b64decode(authority) for authority in answer["authorities"]),
    )


def _path(answer: Answer) -> tuple[str, ...] | None:
    path = answer.get("path")
    return None if path is None else tuple(path)
