"""Object identifiers, as the content octets of their encoding: compared as octets, never decoded."""


def encode(dotted: str) -> bytes:
    """Return the content octets of the object identifier written with dots (X.690, 8.19)."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return b"".join(_encode_arc(arc) for arc in (first * 40 + second, *rest))


def _encode_arc(arc: int) -> bytes:
    septets = [arc & 0x7F]
    while arc := arc >> 7:
        septets.append(0x80 | (arc & 0x7F))
    return bytes(reversed(septets))


# CMS (RFC 5652)
DATA = encode("1.2.840.113549.1.7.1")
SIGNED_DATA = encode("1.2.840.113549.1.7.2")
ENVELOPED_DATA = encode("1.2.840.113549.1.7.3")
CONTENT_TYPE = encode("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = encode("1.2.840.113549.1.9.4")
AUTH_ENVELOPED_DATA = encode("1.2.840.113549.1.9.16.1.23")

# Signatures (RFC 4055) and hashes
RSA_ENCRYPTION = encode("1.2.840.113549.1.1.1")
MGF1 = encode("1.2.840.113549.1.1.8")
RSASSA_PSS = encode("1.2.840.113549.1.1.10")
SHA256 = encode("2.16.840.1.101.3.4.2.1")
SHA384 = encode("2.16.840.1.101.3.4.2.2")
SHA512 = encode("2.16.840.1.101.3.4.2.3")

# Key agreement and encryption (RFC 5753, RFC 3565, RFC 5084)
EC_PUBLIC_KEY = encode("1.2.840.10045.2.1")
ECDH_SHA256_KDF = encode("1.3.132.1.11.1")
ECDH_SHA384_KDF = encode("1.3.132.1.11.2")
ECDH_SHA512_KDF = encode("1.3.132.1.11.3")
AES128_CBC = encode("2.16.840.1.101.3.4.1.2")
AES192_CBC = encode("2.16.840.1.101.3.4.1.22")
AES256_CBC = encode("2.16.840.1.101.3.4.1.42")
AES128_GCM = encode("2.16.840.1.101.3.4.1.6")
AES192_GCM = encode("2.16.840.1.101.3.4.1.26")
AES256_GCM = encode("2.16.840.1.101.3.4.1.46")
AES128_WRAP = encode("2.16.840.1.101.3.4.1.5")
AES192_WRAP = encode("2.16.840.1.101.3.4.1.25")
AES256_WRAP = encode("2.16.840.1.101.3.4.1.45")

# X.509 (RFC 5280)
COMMON_NAME = encode("2.5.4.3")
SUBJECT_KEY_IDENTIFIER = encode("2.5.29.14")
BASIC_CONSTRAINTS = encode("2.5.29.19")
AUTHORITY_KEY_IDENTIFIER = encode("2.5.29.35")

# Awala (protocol base 1.3.6.1.4.1.58708.0)
ORIGINATOR_SESSION_KEY_ID = encode("1.3.6.1.4.1.58708.0.1.0")
NODE_REGISTRATION_AUTHORIZATION = encode("1.3.6.1.4.1.58708.0.2.0")
NODE_REGISTRATION_COUNTERSIGNATURE = encode("1.3.6.1.4.1.58708.0.2.1")
PARCEL_DELIVERY = encode("1.3.6.1.4.1.58708.0.3.0")
PARCEL_COLLECTION_HANDSHAKE = encode("1.3.6.1.4.1.58708.0.3.1")
