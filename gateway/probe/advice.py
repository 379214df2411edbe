"""What an operator can do about a step that failed."""

from awala.clients.errors import (
    CollectionClosedError,
    InvalidAnswerError,
    RejectedCallError,
    RejectedRequestError,
    ServerUnavailableError,
)
from gateway.probe.steps import LateCargoError, LatePingError, UnservedCouriersError

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
_COURIERS = (
    "Check that CogRPC runs (in rungateway, or as runcogrpc) and that --cogrpc has the right URL: https:// over TLS, "
    "when this machine must trust the certificate (SSL_CERT_FILE names further authorities), http:// without."
)
_WORKER = (
    "Check that a worker runs (in rungateway, or as runworker): it unwraps cargo. If one does, it is overloaded or "
    "lacks what it needs: the console shows the cargo that waits, and the gateway's log why."
)
_PING = (
    "The console shows the parcel that leaves for the Internet, and why it was not delivered. Check that the gateway "
    "finds the address of --pong (by DNS, or by INTERNET_ADDRESS_OVERRIDES) and reaches --pong-bind there: without TLS "
    "only with POHTTP_USE_TLS=false, else through a proxy that takes TLS off. After failures the "
    "gateway waits before it tries an address again."
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
        case UnservedCouriersError():
            advice = _COURIERS
        case LateCargoError():
            advice = _WORKER
        case LatePingError():
            advice = _PING
        case RejectedRequestError(status=404 | 405) | RejectedCallError(code="UNIMPLEMENTED"):
            advice = _NOT_FOUND
        case RejectedRequestError() | RejectedCallError():
            advice = _REJECTED
        case TimeoutError():
            advice = _LATE
        case _:
            advice = _OTHER
    return advice
