"""The encrypted content of CMS values: AES-CBC, which all deployed nodes emit, and AES-GCM, which RS-018 demands.

GCM comes in three forms, since nothing says which one nodes will take to: the tag in a field of its own, as
AuthEnvelopedData has it (RFC 5083 and 5084), or after the ciphertext, with the parameters of RFC 5084 (as Bouncy
Castle makes it) or the nonce alone (as PKI.js does).
"""

import secrets
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from awala.asn1 import ber, der, oids
from awala.errors import MalformedMessageError

_BLOCK_SIZE = 16
_CBC_KEY_SIZES: Final = MappingProxyType({oids.AES128_CBC: 16, oids.AES192_CBC: 24, oids.AES256_CBC: 32})
_GCM_KEY_SIZES: Final = MappingProxyType({oids.AES128_GCM: 16, oids.AES192_GCM: 24, oids.AES256_GCM: 32})
_EMITTED_CIPHER: Final = oids.AES128_CBC

# The content key of what is emitted, in octets.
EMITTED_KEY_SIZE: Final = _CBC_KEY_SIZES[_EMITTED_CIPHER]

# RFC 5084, 3.2: the sizes of tags, and the one that is meant where none is named.
_GCM_TAG_SIZES = range(12, 17)
_GCM_DEFAULT_TAG_SIZE = 12
# Where the nonce stands alone, as Web Cryptography has it.
_GCM_FULL_TAG_SIZE = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class EncryptedContent:
    """A ciphertext and what else is needed to decrypt it but the key, which has ``key_size`` octets.

    ``tag`` is ``None`` for CBC; ``authenticated_data`` is what the tag covers besides the ciphertext.
    """

    key_size: int
    nonce: bytes = field(repr=False)
    ciphertext: bytes = field(repr=False)
    tag: bytes | None = field(default=None, repr=False)
    authenticated_data: bytes = field(default=b"", repr=False)

    @classmethod
    def from_enveloped(cls, element: ber.Element) -> "EncryptedContent":
        """Read the EncryptedContentInfo of an EnvelopedData value (RFC 5652, 6.1; RFC 3565).

        :raises MalformedMessageError: if it is none, or its cipher is no AES in CBC or GCM mode
        """
        oid, parameters, ciphertext = _parse_content_info(element)
        key_size = _CBC_KEY_SIZES.get(oid)
        if key_size is not None:
            return cls(key_size=key_size, nonce=parameters.octets(), ciphertext=ciphertext)
        key_size = _gcm_key_size(oid)
        nonce, tag_size = _parse_gcm_parameters(parameters)
        if len(ciphertext) < tag_size:
            raise MalformedMessageError("Encrypted content is shorter than its tag")
        return cls(key_size=key_size, nonce=nonce, ciphertext=ciphertext[:-tag_size], tag=ciphertext[-tag_size:])

    @classmethod
    def from_authenticated(cls, element: ber.Element, tag: bytes, authenticated_data: bytes) -> "EncryptedContent":
        """Read the EncryptedContentInfo of an AuthEnvelopedData value (RFC 5083, 2.1; RFC 5084, 3.2).

        :raises MalformedMessageError: if it is none, its cipher is no AES-GCM, or the tag has not the size it names
        """
        oid, parameters, ciphertext = _parse_content_info(element)
        key_size = _gcm_key_size(oid)
        nonce, tag_size = _parse_gcm_parameters(parameters)
        if len(tag) != tag_size:
            raise MalformedMessageError("Tag of encrypted content has another size than it says")
        return cls(
            key_size=key_size,
            nonce=nonce,
            ciphertext=ciphertext,
            tag=tag,
            authenticated_data=authenticated_data,
        )

    def decrypt(self, key: bytes) -> bytes | None:
        """Return the plaintext, or ``None`` if this is not what was encrypted with the key (of ``key_size``)."""
        try:
            return self._decrypt_cbc(key) if self.tag is None else self._decrypt_gcm(key, self.tag)
        except (ValueError, InvalidTag):
            return None

    def _decrypt_cbc(self, key: bytes) -> bytes:
        decryptor = Cipher(algorithms.AES(key), modes.CBC(self.nonce)).decryptor()
        padded = decryptor.update(self.ciphertext) + decryptor.finalize()
        unpadder = PKCS7(_BLOCK_SIZE * 8).unpadder()
        return unpadder.update(padded) + unpadder.finalize()

    def _decrypt_gcm(self, key: bytes, tag: bytes) -> bytes:
        mode = modes.GCM(self.nonce, tag, min_tag_length=_GCM_TAG_SIZES.start)
        decryptor = Cipher(algorithms.AES(key), mode).decryptor()
        decryptor.authenticate_additional_data(self.authenticated_data)
        return decryptor.update(self.ciphertext) + decryptor.finalize()


def encrypt_content(key: bytes, plaintext: bytes) -> bytes:
    """Return an EncryptedContentInfo with AES-128-CBC; ``key`` has :data:`EMITTED_KEY_SIZE` octets (RFC 3565)."""
    iv = secrets.token_bytes(_BLOCK_SIZE)
    padder = PKCS7(_BLOCK_SIZE * 8).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    # In two parts, so that the long one is never copied.
    ciphertext = encryptor.update(padder.update(plaintext))
    last_block = encryptor.update(padder.finalize()) + encryptor.finalize()
    algorithm = der.sequence(der.object_identifier(_EMITTED_CIPHER), der.octet_string(iv))
    return der.enclose(
        ciphertext,
        der.Layer(tag=ber.context(0), after=last_block),
        der.Layer(tag=ber.SEQUENCE, before=der.object_identifier(oids.DATA) + algorithm),
    )


def _parse_content_info(element: ber.Element) -> tuple[bytes, ber.Element, bytes]:
    """Return the cipher's object identifier and parameters, and the ciphertext."""
    content_type, algorithm, ciphertext = element.members(3)
    if content_type.expect(ber.OBJECT_IDENTIFIER).content != oids.DATA:
        raise MalformedMessageError("Encrypted content is not of type id-data")
    oid, parameters = algorithm.members(2)
    return oid.expect(ber.OBJECT_IDENTIFIER).content, parameters, ciphertext.octets(ber.context(0))


def _gcm_key_size(oid: bytes) -> int:
    key_size = _GCM_KEY_SIZES.get(oid)
    if key_size is None:
        raise MalformedMessageError("Content encryption algorithm is not supported")
    return key_size


def _parse_gcm_parameters(element: ber.Element) -> tuple[bytes, int]:
    """Return the nonce and the size of the tag (RFC 5084, 3.2)."""
    if element.tag != ber.SEQUENCE:
        return element.octets(), _GCM_FULL_TAG_SIZE
    nonce, *tag_sizes = element.members(1, 2)
    tag_size = tag_sizes[0].integer() if tag_sizes else _GCM_DEFAULT_TAG_SIZE
    if tag_size not in _GCM_TAG_SIZES:
        raise MalformedMessageError("Size of the tag is not one of AES-GCM")
    return nonce.octets(), tag_size
