"""What the clients raise when an exchange with a server fails. Each error says whether trying again can help."""

from awala.errors import AwalaError

_PERMANENT_CLOSE_CODES = frozenset((1003, 1008, 1009))


class ClientError(AwalaError):
    """An exchange with a server failed. ``retryable`` says whether the same may succeed later."""

    retryable: bool = False


class ServerUnavailableError(ClientError):
    """The server was not reached, did not answer in time, or says that it cannot serve now.

    ``retry_after_seconds`` is how long the server asks to be left alone, if it says so.
    """

    retryable = True

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ConnectionFailedError(ServerUnavailableError):
    """No connection came about, so nothing was sent."""


class ForbiddenTargetError(ConnectionFailedError):
    """The server is in a network that strangers may not send us to."""


class ResolutionError(ConnectionFailedError):
    """The domain name system does not say where the server is. The children say why."""


class UnsignedResolutionError(ResolutionError):
    """The answer is not secured by DNSSEC, so anybody may have made it up."""


class FailedResolutionError(ResolutionError):
    """The resolver failed to find out, or what it found is bogus: signatures that do not hold."""


class MissingServiceError(ResolutionError):
    """There is no such service, or no such host, at present."""


class InvalidAnswerError(ClientError):
    """The server's answer does not follow the protocol; another try may reach a server that does."""

    retryable = True


class RejectedRequestError(ClientError):
    """The server refuses the request itself, whatever it carries; ``status`` is the HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class RefusedParcelError(RejectedRequestError):
    """The server will never accept this parcel, which may be deleted (RS-007, RS-016)."""


class RejectedCallError(ClientError):
    """The server refuses a gRPC call, whatever it carries; ``code`` is the name of the gRPC status."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class CollectedAlreadyError(RejectedCallError):
    """The collection authorisation (CCA) was used before, and may be deleted (RS-008)."""


class CollectionClosedError(ClientError):
    """The server closed a collection before its end; ``code`` and ``reason`` are those of the WebSocket."""

    def __init__(self, *, code: int, reason: str) -> None:
        super().__init__(f"Collection was closed with code {code}: {reason or 'no reason given'}")
        self.code = code
        self.reason = reason
        self.retryable = code not in _PERMANENT_CLOSE_CODES
