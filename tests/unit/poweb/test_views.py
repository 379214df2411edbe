import pytest

from awala.errors import InvalidMessageError, MalformedMessageError
from gateway.errors import RegistrationRefusedError
from gateway.public_views import find_status
from poweb.views import COUNTERSIGNATURE_ERRORS, PARCEL_ERRORS, REGISTRATION_ERRORS
from tests.unit.edges import gateway_errors, message_errors

MESSAGE_ERRORS = sorted(message_errors(), key=lambda error: error.__name__)
GATEWAY_ERRORS = sorted(gateway_errors(), key=lambda error: error.__name__)


@pytest.mark.parametrize("error", MESSAGE_ERRORS)
def test_parcels_that_can_never_be_accepted_are_422(error: type[InvalidMessageError]) -> None:
    """Trap 8: with any other status of 4xx the deployed clients keep a parcel, and send it again for ever."""
    is_unreadable = issubclass(error, MalformedMessageError)

    assert find_status(error(), PARCEL_ERRORS) == (400 if is_unreadable else 422)


@pytest.mark.parametrize("error", MESSAGE_ERRORS)
def test_countersignatures(error: type[InvalidMessageError]) -> None:
    is_unreadable = issubclass(error, MalformedMessageError)

    assert find_status(error(), COUNTERSIGNATURE_ERRORS) == (401 if is_unreadable else 403)


@pytest.mark.parametrize("error", MESSAGE_ERRORS)
def test_registration_requests(error: type[InvalidMessageError]) -> None:
    assert find_status(error(), REGISTRATION_ERRORS) == 400


@pytest.mark.parametrize("error", GATEWAY_ERRORS)
def test_what_the_gateway_itself_raises(error: type[Exception]) -> None:
    if issubclass(error, RegistrationRefusedError):
        assert find_status(error(), REGISTRATION_ERRORS) == 403
    else:
        assert find_status(error(), REGISTRATION_ERRORS) == 503
        assert find_status(error(), PARCEL_ERRORS) == 503
