"""Parcels: messages as received, and fields as if they were signed, since no invented octets ever are."""

import contextlib
from unittest.mock import patch

from awala.cms.signed_data import SignedData, verify_signed_data
from awala.errors import InvalidMessageError
from awala.messages.parcel import Parcel
from tests import published_vectors as published
from tests.decoders import check_message

HEADER = b"Awala\x50\x00"
KEY = published.rsa_private_key("endpoint_b")
SENDER = published.certificate("pda_a_to_b")
ATTACHED = (published.certificate("endpoint_a"), published.certificate("private_gateway_a"))


def target(octets: bytes) -> None:
    if octets.startswith(b"Awala"):
        check_message(Parcel.deserialize(octets))
    else:
        check_message(read_fields(octets))


def read_fields(content: bytes) -> Parcel:
    signed = SignedData(content=content, signer_certificate=SENDER, certificates=ATTACHED)
    with patch("awala.ramf.verify_signed_data", return_value=signed):
        parcel = Parcel.deserialize(HEADER)
        signed_again = SignedData(content=content_of(parcel), signer_certificate=SENDER, certificates=ATTACHED)
        with patch("awala.ramf.verify_signed_data", return_value=signed_again):
            assert Parcel.deserialize(HEADER) == parcel
    return parcel


def content_of(parcel: Parcel) -> bytes:
    """Return the content that is signed when the parcel is written."""
    with patch("awala.ramf.sign_data", return_value=b"") as sign:
        parcel.serialize(KEY)
    content: bytes = sign.call_args.args[0]
    return content


def seeds() -> list[bytes]:
    found = []
    for vector in published.of_type("Parcel"):
        found.append(vector.octets)
        with contextlib.suppress(InvalidMessageError):
            found.append(verify_signed_data(vector.octets[7:]).content or b"")
    return found
