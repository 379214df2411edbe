"""Everything that :mod:`awala` raises, split by blame: ours, or the peer's."""


class AwalaError(Exception):
    """Base of every error raised by this library."""


class InvalidArgumentError(AwalaError, ValueError):
    """The caller's own value cannot be encoded or used (ours to mend)."""


class InvalidMessageError(AwalaError):
    """What the peer sent cannot be accepted. The children say why."""


class MalformedMessageError(InvalidMessageError):
    """The octets do not follow the format."""


class OversizedMessageError(InvalidMessageError):
    """The message is larger than anything of its type may be."""


class InvalidSignatureError(InvalidMessageError):
    """A signature does not hold, or uses an algorithm that RS-018 bans."""


class UntimelyMessageError(InvalidMessageError):
    """The message has expired, or claims to come from the future."""


class UnauthorizedSenderError(InvalidMessageError):
    """The sender has no valid certification path to a trusted node, or may not reach this recipient."""


class DecryptionError(InvalidMessageError):
    """An EnvelopedData value cannot be decrypted. The message is the same whatever the cause."""
