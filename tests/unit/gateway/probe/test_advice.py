import pytest

from awala.clients.errors import (
    CollectionClosedError,
    InvalidAnswerError,
    RefusedParcelError,
    RejectedCallError,
    RejectedRequestError,
    ServerUnavailableError,
)
from gateway.probe.advice import advise
from gateway.probe.steps import LateCargoError, LatePingError, UnmetExpectationError, UnservedCouriersError


@pytest.mark.parametrize(
    ("cause", "named"),
    [
        (ServerUnavailableError("-"), "SSL_CERT_FILE"),
        (InvalidAnswerError("-"), "media types"),
        (CollectionClosedError(code=1006, reason=""), "WebSockets"),
        (RejectedRequestError("-", status=404), "URL"),
        (RejectedRequestError("-", status=401), "clocks"),
        (RefusedParcelError("-", status=422), "clocks"),
        (RejectedCallError("-", code="UNIMPLEMENTED"), "URL"),
        (RejectedCallError("-", code="UNAUTHENTICATED"), "clocks"),
        (UnservedCouriersError("-"), "--cogrpc"),
        (LateCargoError("-"), "worker"),
        (LatePingError("-"), "--pong-bind"),
        (TimeoutError(), "REDIS_URL"),
        (UnmetExpectationError("-"), "log"),
        (None, "log"),
    ],
)
def test_advice_names_what_to_look_at(cause: Exception | None, named: str) -> None:
    assert named in advise(cause)
