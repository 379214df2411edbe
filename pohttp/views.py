"""PoHTTP (RS-007): other gateways and Internet endpoints deliver parcels for the private endpoints of ours."""

from types import MappingProxyType
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from awala.errors import InvalidMessageError, InvalidSignatureError, MalformedMessageError
from awala.limits import MAX_RAMF_MESSAGE_SIZE
from gateway.metrics import counts_parcels
from gateway.public_views import (
    UNAVAILABLE,
    StatusByError,
    accepted,
    public_view,
    read_body,
    require_media_type,
)
from gateway.services.receive_parcel import receive_parcel_from_internet

PARCEL_TYPE = "application/vnd.awala.parcel"

# 400 where nothing can be read or believed, 403 where the parcel is what it claims to be but is not for us to take.
ERRORS: Final[StatusByError] = MappingProxyType(
    {MalformedMessageError: 400, InvalidSignatureError: 400, InvalidMessageError: 403, **UNAVAILABLE}
)


@counts_parcels("pohttp")
@public_view("GET", "HEAD", "POST", errors=ERRORS)
def receive_parcel(request: HttpRequest) -> HttpResponse:
    """Take a parcel in (202), or say that this is the right place to POST it to."""
    if request.method != "POST":
        return HttpResponse("This is a PoHTTP server: POST parcels here.\n", content_type="text/plain")
    require_media_type(request, PARCEL_TYPE)
    receive_parcel_from_internet(read_body(request, MAX_RAMF_MESSAGE_SIZE), timezone.now())
    return accepted(b"{}", "application/json")
