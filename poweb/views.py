"""PoWeb over plain HTTP (RS-016): private gateways register and deliver parcels."""

import base64
import binascii
import re
from datetime import datetime
from types import MappingProxyType
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from awala.errors import InvalidMessageError, MalformedMessageError
from awala.limits import MAX_RAMF_MESSAGE_SIZE, MAX_REGISTRATION_REQUEST_SIZE, PRE_REGISTRATION_SIZE
from gateway.errors import RegistrationRefusedError
from gateway.metrics import counts_parcels
from gateway.public_views import (
    UNAVAILABLE,
    RefusedRequestError,
    StatusByError,
    accepted,
    find_status,
    public_view,
    read_body,
    require_media_type,
)
from gateway.services.authenticate_peer import authenticate_delivery
from gateway.services.authorize_registration import authorize_registration
from gateway.services.describe_connection import describe_connection
from gateway.services.receive_parcel import receive_parcel_from_peer
from gateway.services.register_node import register_node

PARCEL_TYPE = "application/vnd.awala.parcel"
CONNECTION_PARAMS_TYPE = "application/vnd.etsi.tsl.der"
_REGISTRATION_TYPE = "application/vnd.awala.node-registration"
AUTHORIZATION_TYPE = f"{_REGISTRATION_TYPE}.authorization"
REQUEST_TYPE = f"{_REGISTRATION_TYPE}.request"
REGISTRATION_TYPE = f"{_REGISTRATION_TYPE}.registration"

# The deployed clients send the first scheme, the specification names the second.
_COUNTERSIGNATURE_SCHEMES = ("Relaynet-Countersignature", "Awala-Countersignature")
_CHALLENGE = MappingProxyType({"WWW-Authenticate": ", ".join(_COUNTERSIGNATURE_SCHEMES)})
_KEY_DIGEST = re.compile(rb"[0-9a-fA-F]{64}")

REGISTRATION_ERRORS: Final[StatusByError] = MappingProxyType(
    {InvalidMessageError: 400, RegistrationRefusedError: 403, **UNAVAILABLE}
)
COUNTERSIGNATURE_ERRORS: Final[StatusByError] = MappingProxyType({MalformedMessageError: 401, InvalidMessageError: 403})
# 422 tells a private gateway to drop the parcel; after any other refusal it tries again, for ever.
PARCEL_ERRORS: Final[StatusByError] = MappingProxyType(
    {MalformedMessageError: 400, InvalidMessageError: 422, **UNAVAILABLE}
)


@public_view("GET", "HEAD")
def greet(_request: HttpRequest) -> HttpResponse:
    """Say that the gateway can be reached: Android asks before it goes on."""
    return HttpResponse("This is a PoWeb server.\n", content_type="text/plain")


@public_view("GET", "HEAD")
def get_connection_params(_request: HttpRequest) -> HttpResponse:
    """Publish NodeConnectionParams."""
    return HttpResponse(describe_connection(timezone.now()), content_type=CONNECTION_PARAMS_TYPE)


@public_view("POST", errors=REGISTRATION_ERRORS)
def pre_register(request: HttpRequest) -> HttpResponse:
    """Answer the hexadecimal SHA-256 digest of a public key with a PNRA."""
    require_media_type(request, "text/plain")
    body = read_body(request, PRE_REGISTRATION_SIZE)
    if not _KEY_DIGEST.fullmatch(body):
        raise RefusedRequestError(400, "Body must be a SHA-256 digest, 64 hexadecimal digits")
    authorization = authorize_registration(bytes.fromhex(body.decode()), timezone.now())
    return HttpResponse(authorization, content_type=AUTHORIZATION_TYPE)


@public_view("POST", errors=REGISTRATION_ERRORS)
def register(request: HttpRequest) -> HttpResponse:
    """Answer a PNRR with a PNR."""
    require_media_type(request, REQUEST_TYPE)
    registration = register_node(read_body(request, MAX_REGISTRATION_REQUEST_SIZE), timezone.now())
    return HttpResponse(registration, content_type=REGISTRATION_TYPE)


@counts_parcels("poweb")
@public_view("POST", errors=PARCEL_ERRORS)
def deliver_parcel(request: HttpRequest) -> HttpResponse:
    """Take in a parcel that a registered private gateway has countersigned."""
    require_media_type(request, PARCEL_TYPE)
    countersignature = _read_countersignature(request)
    parcel_serialized = read_body(request, MAX_RAMF_MESSAGE_SIZE)
    now = timezone.now()
    peer_id = _authenticate(countersignature, parcel_serialized, now)
    receive_parcel_from_peer(parcel_serialized, peer_id, now)
    return accepted()


@public_view("GET")
def refuse_plain_collection(_request: HttpRequest) -> HttpResponse:
    """Ask for a WebSocket where parcels are collected."""
    raise RefusedRequestError(426, "Parcels are collected over WebSocket", {"Upgrade": "websocket"})


def _read_countersignature(request: HttpRequest) -> bytes:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() not in {known.lower() for known in _COUNTERSIGNATURE_SCHEMES}:
        raise RefusedRequestError(401, "Parcel delivery countersignature is missing", _CHALLENGE)
    try:
        return base64.b64decode(value.strip(), validate=True)
    except binascii.Error as error:
        raise RefusedRequestError(401, "Parcel delivery countersignature is not in base64", _CHALLENGE) from error


def _authenticate(countersignature: bytes, parcel_serialized: bytes, now: datetime) -> str:
    try:
        return authenticate_delivery(countersignature, parcel_serialized, now)
    except InvalidMessageError as error:
        status = find_status(error, COUNTERSIGNATURE_ERRORS)
        raise RefusedRequestError(status, f"Parcel delivery countersignature: {error}", _CHALLENGE) from error
