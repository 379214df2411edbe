"""CertificateRotation: brings a private gateway its next certificate, within cargo (RS-002)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from awala.messages.certification_path import CertificationPath
from awala.ramf import format_header, strip_header


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateRotation:
    """A certification path whose leaf is the recipient's new certificate.

    No deployed library reads the other's encoding, and both skip what they cannot read: send both.
    """

    TYPE: ClassVar[int] = 0x10

    path: CertificationPath

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a rotation in either encoding; no certificate is validated.

        :raises MalformedMessageError: if the octets are something else
        :raises InvalidSignatureError: if a certificate is signed with an algorithm that RS-018 bans
        """
        return cls(path=CertificationPath.deserialize(strip_header(octets, cls.TYPE)))

    def serialize(self) -> bytes:
        """Return the form of the specification and the JavaScript library."""
        return format_header(self.TYPE) + self.path.serialize()

    def serialize_implicit(self) -> bytes:
        """Return the form of awala-jvm 1.67.2 and later."""
        return format_header(self.TYPE) + self.path.serialize_implicit()
