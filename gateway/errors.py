"""What can go wrong in the gateway itself, by meaning; each edge maps these to answers of its own protocol."""


class GatewayError(Exception):
    """Base of the gateway's own errors."""


class UnsafeSettingError(GatewayError):
    """A setting is absent, wrong or unsafe; the message names the variable and reads well on one line."""


class UnavailableError(GatewayError):
    """Something the gateway depends on failed; the same request may succeed later."""


class StorageUnavailableError(UnavailableError):
    """The object store failed."""


class RecordUnavailableError(UnavailableError):
    """The database failed: locked, full, read-only or out of reach."""


class RecordChangedError(RecordUnavailableError):
    """Somebody else changed a row between the look at it and its change; the same transaction may succeed now."""


class ObjectMissingError(GatewayError):
    """The object store works but holds nothing under that key."""


class KeyUnavailableError(GatewayError):
    """A private key of ours is lost, or cannot be opened with this key store's key."""


class UnknownKeyError(KeyUnavailableError):
    """There is no such session key, or it serves another peer: whoever encrypted to it is to blame, not we."""


class RegistrationRefusedError(GatewayError):
    """A registration authorisation of ours does not cover this request."""


class AuthorizationSpentError(RegistrationRefusedError):
    """A registration authorisation (PNRA) was used before."""


class KeyMismatchError(RegistrationRefusedError):
    """A registration authorisation (PNRA) was granted to another key."""


class CollectionRefusedError(GatewayError):
    """A collection authorisation (CCA) has been used before: its cargo was sent."""


class CollectionUnderWayError(GatewayError):
    """A collection authorisation (CCA) is being used by another call, which may yet fail."""
