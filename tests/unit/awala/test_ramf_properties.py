"""Any message reads back as it was written, in whatever BER its unsigned parts are encoded."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from awala.asn1 import ber
from awala.limits import MAX_TTL_SECONDS
from awala.messages.parcel import Parcel
from awala.ramf import Recipient
from tests.factories import NOW, chain, private_parcel, serialized
from tests.unit.awala.asn1.encoders import Choose, Tree, chooser, encode_ber, tree_of

CHAIN = chain()

_label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
addresses = st.builds(lambda labels: ".".join([*labels, "example"]), st.lists(_label, min_size=1, max_size=4))
recipients = st.builds(
    Recipient, id=st.from_regex(r"[a-f0-9]{1,80}", fullmatch=True), internet_address=st.none() | addresses
)
parcels = st.builds(
    Parcel,
    recipient=recipients,
    id=st.text(st.characters(max_codepoint=255), max_size=64),
    creation_date=st.datetimes(datetime(1, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
        lambda time: time.replace(microsecond=0)
    ),
    ttl_seconds=st.integers(0, MAX_TTL_SECONDS),
    payload=st.binary(max_size=300),
    sender_certificate=st.just(CHAIN.authorization),
    attached_certificates=st.just(CHAIN.attached),
)


@given(parcels)
def test_round_trip(parcel: Parcel) -> None:
    assert Parcel.deserialize(serialized(parcel)) == parcel


# What is signed, or compared with what is signed, is DER: the attributes, the certificates and the signer's name.
_PARCEL = private_parcel(CHAIN)
_OCTETS = serialized(_PARCEL)


def relaxed(content_info: ber.Element) -> Tree:
    """Return a SignedData value whose encoding may change wherever that does not matter."""
    oid, explicit = content_info.children()
    version, digest_algorithms, content, certificates, signers = explicit.only_child().children()
    attached = Tree(certificates.tag, tuple(certificate.raw for certificate in certificates.children()))
    signed_data = Tree(
        ber.SEQUENCE,
        (
            tree_of(version),
            tree_of(digest_algorithms),
            tree_of(content),
            attached,
            Tree(ber.SET, (relaxed_signer(signers.only_child()),)),
        ),
    )
    return Tree(ber.SEQUENCE, (tree_of(oid), Tree(explicit.tag, (signed_data,))))


def relaxed_signer(signer: ber.Element) -> Tree:
    version, signer_id, digest_algorithm, attributes, signature_algorithm, signature = signer.children()
    name, serial_number = signer_id.children()
    return Tree(
        ber.SEQUENCE,
        (
            tree_of(version),
            Tree(ber.SEQUENCE, (name.raw, tree_of(serial_number))),
            tree_of(digest_algorithm),
            attributes.raw,
            tree_of(signature_algorithm),
            tree_of(signature),
        ),
    )


@given(chooser())
def test_reads_the_same_from_any_encoding(choose: Choose) -> None:
    """Trap 1: no two deployed libraries encode a SignedData value alike."""
    octets = _OCTETS[:7] + encode_ber(relaxed(ber.read(_OCTETS[7:])), choose)
    parcel = Parcel.deserialize(octets)
    assert parcel == _PARCEL
    assert parcel.authorized_path((CHAIN.gateway,), now=NOW)
