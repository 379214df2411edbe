"""What an operator can do about a step that failed."""

from awala.clients.errors import (
    CollectionClosedError,
    InvalidAnswerError,
    RejectedRequestError,
    ServerUnavailableError,
)

_UNAVAILABLE = (
    "Check that the gateway runs and that the URL is right. Over TLS, this machine must trust the certificate: "
    "SSL_CERT_FILE names further authorities."
)
_INVALID_ANSWER = (
    "Check that the URL is that of a gateway, and that no proxy on the way changes its answers: media types must "
    "come without parameters."
)
_CLOSED = "Check that the proxy on the way lets WebSockets through and keeps them open. The gateway's log has more."
_NOT_FOUND = "Check the URL: another server than the one meant seems to answer there."
_REJECTED = (
    "Compare the clocks of the gateway and of this machine: what seems to come from the future is refused. The "
    "gateway's log has more."
)
_LATE = (
    "If the gateway runs as several processes, check that all have the same REDIS_URL, DATABASE_URL and object "
    "store. If it is far away or busy, give a longer --timeout."
)
_OTHER = "The gateway's log has more."


def advise(cause: BaseException | None) -> str:
    """Advice on what made a step fail."""
    match cause:
        case ServerUnavailableError():
            advice = _UNAVAILABLE
        case InvalidAnswerError():
            advice = _INVALID_ANSWER
        case CollectionClosedError():
            advice = _CLOSED
        case RejectedRequestError(status=404 | 405):
            advice = _NOT_FOUND
        case RejectedRequestError():
            advice = _REJECTED
        case TimeoutError():
            advice = _LATE
        case _:
            advice = _OTHER
    return advice
