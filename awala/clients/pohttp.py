"""PoHTTP client (RS-007): hands a parcel to a gateway or an Internet endpoint."""

from typing import Final
from urllib.parse import urljoin, urlsplit

from awala.clients.errors import InvalidAnswerError, RefusedParcelError, RejectedRequestError
from awala.clients.http import Answer, check_url, open_client, request
from awala.errors import InvalidArgumentError

PARCEL_CONTENT_TYPE: Final = "application/vnd.awala.parcel"
MAX_REDIRECTS: Final = 3
# The only ones that repeat the request as it was.
_REDIRECTS: Final = frozenset((307, 308))


def deliver_parcel(url: str, parcel_serialized: bytes, *, timeout: float = 5) -> None:
    """Hand a parcel to the server at ``url``; when this returns, the server has taken it over.

    ``timeout`` is in seconds, for the connection and for each read and write of each hop. Up to three redirects
    are followed, but never from HTTPS to HTTP.

    :raises RefusedParcelError: if the server will never accept the parcel, which may then be deleted
    :raises ServerUnavailableError: if the server cannot be reached, or does not take parcels now
    :raises InvalidAnswerError: if the server, or a redirect, makes no sense
    :raises InvalidArgumentError: if ``url`` is none of HTTP or HTTPS
    """
    target = check_url(url)
    with open_client(timeout=timeout) as client:
        for _ in range(1 + MAX_REDIRECTS):
            headers = {"Content-Type": PARCEL_CONTENT_TYPE}
            answer = request(client, "POST", target, body=parcel_serialized, headers=headers)
            if answer.status not in _REDIRECTS:
                _check_accepted(answer)
                return
            target = _resolve_redirect(target, answer)
    raise InvalidAnswerError(f"More than {MAX_REDIRECTS} redirects from {url}")


def _check_accepted(answer: Answer) -> None:
    try:
        answer.check_success()
    except RejectedRequestError as error:
        raise RefusedParcelError(f"Parcel was refused: {answer.description}", status=answer.status) from error


def _resolve_redirect(url: str, answer: Answer) -> str:
    try:
        target = check_url(urljoin(url, answer.location or ""))
    except (InvalidArgumentError, ValueError) as error:
        raise InvalidAnswerError(f"Redirect to an impossible place: {answer.location!r}") from error
    if not answer.location:
        raise InvalidAnswerError("Redirect does not say where to")
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise InvalidAnswerError("Redirect from HTTPS to HTTP")
    return target
