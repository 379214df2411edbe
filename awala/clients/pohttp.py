"""PoHTTP client (RS-007): hands a parcel to a gateway or an Internet endpoint."""

from collections.abc import Callable, Mapping
from typing import Final

from awala.clients.errors import RefusedParcelError, RejectedRequestError
from awala.clients.http import Answer, check_url, follow_redirects, open_client, request

PARCEL_CONTENT_TYPE: Final = "application/vnd.awala.parcel"


def deliver_parcel(url: str, parcel_serialized: bytes, *, timeout: float = 5) -> None:
    """Hand a parcel to the server at ``url``; when this returns, the server has taken it over.

    ``timeout`` is in seconds, for the connection and for each read and write of each hop. Up to three redirects
    are followed, but never from HTTPS to HTTP. Whoever delivers more than one parcel, or to addresses that
    strangers name, uses :class:`awala.clients.delivery.ParcelDeliverer`.

    :raises RefusedParcelError: if the server will never accept the parcel, which may then be deleted
    :raises ServerUnavailableError: if the server cannot be reached, or does not take parcels now
    :raises InvalidAnswerError: if the server, or a redirect, makes no sense
    :raises InvalidArgumentError: if ``url`` is none of HTTP or HTTPS
    """
    check_url(url)
    with open_client(timeout=timeout) as client:
        post_parcel(
            url, lambda target, headers: request(client, "POST", target, body=parcel_serialized, headers=headers)
        )


def post_parcel(url: str, post: Callable[[str, Mapping[str, str]], Answer]) -> None:
    """Post a parcel to ``url`` and wherever that redirects to; when this returns, the server has taken it over.

    ``post`` is given a URL and the headers of the request, and sends the parcel there.

    :raises ClientError: as :func:`deliver_parcel` and ``post`` do
    """
    headers = {"Content-Type": PARCEL_CONTENT_TYPE}
    answer = follow_redirects(url, lambda target: post(target, headers))
    try:
        answer.check_success()
    except RejectedRequestError as error:
        raise RefusedParcelError(f"Parcel was refused: {answer.description}", status=answer.status) from error
