"""Ceilings of the protocol suite, each the largest that any deployed implementation accepts.

Sizes are in octets unless the name says otherwise. Sizes are checked before octets are parsed.
"""

# RAMF messages (RS-001); 9 MiB is what the deployed libraries accept, the spec says 8 396 800.
MAX_RAMF_MESSAGE_SIZE = 9_437_184
# What fits in one cargo: 8 322 048 octets of plaintext, less 10 octets of nested TLV headers. Clients send larger
# parcels all the same, and those travel online.
MAX_CARGO_ITEM_SIZE = 8_322_038
# The payload field of a RAMF message (RS-001).
MAX_RAMF_PAYLOAD_SIZE = 8_388_608
# What may be encrypted into such a payload (RS-003); also the size of a whole cargo message set.
MAX_PLAINTEXT_SIZE = 8_322_048
# Items in one cargo: room for a full one of the smallest messages that deserve it (54 000 collection ACKs).
MAX_CARGO_ITEMS = 65_536
# Pings: room for a path of the largest certificates that deployed nodes issue, in Base64.
MAX_PING_SIZE = 65_536
MAX_MESSAGE_ID_LENGTH = 64
MAX_RECIPIENT_ID_LENGTH = 1_024
MAX_INTERNET_ADDRESS_LENGTH = 1_024
# 180 days (RS-001).
MAX_TTL_SECONDS = 15_552_000

# PoWeb request bodies (RS-016).
PRE_REGISTRATION_SIZE = 64
MAX_REGISTRATION_REQUEST_SIZE = 1_048_576
# WebSocket messages from a collector: room for several RSA-4096 nonce signatures.
MAX_HANDSHAKE_RESPONSE_SIZE = 65_536
# Nonce signatures in a handshake response; each costs two RSA verifications.
MAX_HANDSHAKE_SIGNATURES = 16

# Certificates of 180 days (RS-002).
MAX_CERTIFICATE_DAYS = 180
# RSA moduli, in bits: RS-018 bans anything smaller than 2048; the ceiling bounds the cost of a verification.
MIN_RSA_KEY_BITS = 2_048
MAX_RSA_KEY_BITS = 8_192
# Certificates attached to one message; deployed clients attach four at most.
MAX_ATTACHED_CERTIFICATES = 16
# Certificates in a path, root and leaf included: a PDA's path has four.
MAX_PATH_CERTIFICATES = 8
# Certificate signatures tried for one path, so that look-alike certificates cannot buy us endless work.
MAX_PATH_SIGNATURE_CHECKS = 32

# Elements of one ASN.1 SEQUENCE or SET read at once: a short message cannot become a long list of objects.
MAX_ASN1_CHILDREN = 128
# Segments of one constructed string: 9 MiB in the 1000-octet segments of the JVM library is 9 438.
MAX_ASN1_STRING_SEGMENTS = 65_536
MAX_ASN1_INTEGER_SIZE = 64
