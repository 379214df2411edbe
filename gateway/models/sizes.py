"""The sizes of columns that several aggregates share."""

# "0" and the SHA-256 of a public key in hexadecimal (protocol section 1).
NODE_ID_LENGTH = 65
# Deployed clients accept recipients and Internet addresses up to this length (protocol section 5).
RECIPIENT_ID_LENGTH = 1_024
INTERNET_ADDRESS_LENGTH = 1_024
SHA256_HEX_LENGTH = 64
OBJECT_KEY_LENGTH = 255
STATE_LENGTH = 16
EVENT_DETAIL_LENGTH = 255
EVENT_KIND_LENGTH = 32
