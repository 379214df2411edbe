import pytest

from awala.errors import InvalidMessageError, InvalidSignatureError, MalformedMessageError
from gateway.errors import RegistrationRefusedError
from gateway.public_views import find_status
from pohttp.views import ERRORS
from tests.unit.edges import gateway_errors, message_errors

MESSAGE_ERRORS = sorted(message_errors(), key=lambda error: error.__name__)
GATEWAY_ERRORS = sorted(gateway_errors(), key=lambda error: error.__name__)


def test_every_error_has_an_answer() -> None:
    """Registration apart, which PoHTTP does not have."""
    errors = {error for error in message_errors() | gateway_errors() if not issubclass(error, RegistrationRefusedError)}

    assert {find_status(error(), ERRORS) for error in errors} == {400, 403, 503}


@pytest.mark.parametrize("error", MESSAGE_ERRORS)
def test_invalid_messages_are_403_and_unreadable_ones_400(error: type[InvalidMessageError]) -> None:
    is_unreadable = issubclass(error, (MalformedMessageError, InvalidSignatureError))

    assert find_status(error(), ERRORS) == (400 if is_unreadable else 403)


@pytest.mark.parametrize("error", GATEWAY_ERRORS)
def test_what_is_ours_to_mend_is_503(error: type[Exception]) -> None:
    if not issubclass(error, RegistrationRefusedError):
        assert find_status(error(), ERRORS) == 503
