"""A signed value with one octet changed is refused, or says exactly what was signed.

Certificates, registration authorisations and requests have not a single octet that could change unnoticed. A CMS
SignedData value has two parts that nobody signs and that nothing is read from: its version, which may also be 3,
and its list of digest algorithms, which only announces what the SignerInfo names. All else in it is either signed
or decides on whether the signature holds; the attached certificates are signed by their issuers, and looked at
when the path is built. The same holds of an AuthEnvelopedData value whose attributes are authenticated, since
whatever its tag does not cover goes into the key.
"""

import itertools
from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from awala.asn1 import der, oids
from awala.cms.enveloped_data import EnvelopedData
from awala.errors import DecryptionError, InvalidMessageError
from awala.messages.cargo import Cargo
from awala.messages.parcel import Parcel
from awala.pki.algorithms import SHA256
from awala.pki.certificate import Certificate
from awala.ramf import RAMFMessage, Recipient
from awala.registration import RegistrationAuthorization, RegistrationRequest
from awala.signatures import sign_detached, verify_detached
from tests.factories import NOW, chain, private_key_of, private_parcel, rsa_key, serialized, spki_of
from tests.unit.awala.cms.envelopes import KEY_ID, AuthEnvelope

Check = Callable[[bytes], object]

CHAIN = chain()
NONCE = bytes(range(16))
# The lowest bit, the constructed bit of a tag, and the class of a tag or the form of a length.
MASKS = (0x01, 0x20, 0x80)


def check_certificate(octets: bytes) -> object:
    certificate = Certificate.parse(octets)
    certificate.verify_signature(CHAIN.gateway)
    return certificate


def check_authorization(octets: bytes) -> object:
    # Long ago, so that a change of the expiry is not refused for the expiry.
    long_ago = NOW - timedelta(days=365_000)
    return RegistrationAuthorization.deserialize(octets, rsa_key("gateway").public_key(), now=long_ago)


def check_nonce_signature(octets: bytes) -> object:
    roots = (CHAIN.gateway,)
    return verify_detached(octets, NONCE, oids.PARCEL_COLLECTION_HANDSHAKE, trusted=roots, now=NOW)


def check_parcel(octets: bytes) -> object:
    return facts_of(Parcel.deserialize(octets))


def check_cargo(octets: bytes) -> object:
    return facts_of(Cargo.deserialize(octets))


def facts_of(message: RAMFMessage) -> object:
    path = message.authorized_path((CHAIN.gateway,), now=NOW)
    return message.recipient, message.id, message.creation_date, message.ttl_seconds, message.payload, path


def check_enveloped_data(octets: bytes) -> object:
    enveloped_data = EnvelopedData.deserialize(octets)
    # Another id names another key, or none.
    if enveloped_data.recipient_key_id != KEY_ID:
        raise DecryptionError
    return enveloped_data.decrypt(SESSION_KEY), enveloped_data.originator_session_key()


SESSION_KEY = ec.generate_private_key(ec.SECP256R1())
CERTIFICATE = CHAIN.private_gateway.der
PNRA = RegistrationAuthorization(expiry=NOW, gateway_data=bytes(32)).serialize(rsa_key("gateway"))
PNRR = RegistrationRequest(public_key_der=spki_of("node"), authorization_serialized=PNRA).serialize(rsa_key("node"))
NONCE_SIGNATURE = sign_detached(
    NONCE,
    oids.PARCEL_COLLECTION_HANDSHAKE,
    private_key=rsa_key("private gateway"),
    certificate=CHAIN.private_gateway,
)
PARCEL = serialized(private_parcel(CHAIN))
CARGO = Cargo(
    recipient=Recipient(id=CHAIN.gateway.node_id),
    id="cargo-1",
    creation_date=NOW,
    ttl_seconds=60,
    payload=b"payload",
    sender_certificate=CHAIN.private_gateway,
).serialize(private_key_of(CHAIN.private_gateway))
ENVELOPED_DATA = AuthEnvelope(
    recipient_public_key=SESSION_KEY.public_key(), plaintext=b"plaintext", is_key_id_authenticated=True
).encode()

SIGNED_VALUES = [
    pytest.param(CERTIFICATE, check_certificate, id="certificate"),
    pytest.param(PNRA, check_authorization, id="PNRA"),
    pytest.param(PNRR, RegistrationRequest.deserialize, id="PNRR"),
    pytest.param(NONCE_SIGNATURE, check_nonce_signature, id="nonce signature"),
    pytest.param(PARCEL, check_parcel, id="parcel"),
    pytest.param(CARGO, check_cargo, id="cargo"),
    pytest.param(ENVELOPED_DATA, check_enveloped_data, id="AuthEnvelopedData"),
]


def unsigned_positions(octets: bytes) -> set[int]:
    """Return where the version and the list of digest algorithms of a SignedData value are."""
    digest_algorithms = der.set_of([SHA256.identifier()])
    start = octets.find(der.integer(1) + digest_algorithms)
    return set(range(start + 2, start + 3 + len(digest_algorithms))) if start >= 0 else set()


def with_octet(octets: bytes, position: int, octet: int) -> bytes:
    return octets[:position] + bytes((octet,)) + octets[position + 1 :]


def is_refused(check: Check, octets: bytes, expected: object) -> bool:
    """Say whether octets are refused; if not, they must say what is expected."""
    try:
        found = check(octets)
    except InvalidMessageError:
        return True
    assert found == expected
    return False


def unnoticed(octets: bytes, check: Check) -> Iterable[int]:
    """Return the positions where a change is not refused; each has one of the masks, in turn."""
    expected = check(octets)
    for position, (octet, mask) in enumerate(zip(octets, itertools.cycle(MASKS), strict=False)):
        if not is_refused(check, with_octet(octets, position, octet ^ mask), expected):
            yield position


@pytest.mark.parametrize(("octets", "check"), SIGNED_VALUES)
def test_each_octet_changed(octets: bytes, check: Check) -> None:
    assert set(unnoticed(octets, check)) <= unsigned_positions(octets)


@pytest.mark.parametrize(("octets", "check"), SIGNED_VALUES)
@given(data=st.data())
def test_any_octet_changed_to_any_other(octets: bytes, check: Check, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(octets) - 1))
    changed = with_octet(octets, position, octets[position] ^ data.draw(st.integers(1, 255)))
    assert is_refused(check, changed, check(octets)) or position in unsigned_positions(octets)


@pytest.mark.parametrize(("octets", "check"), SIGNED_VALUES)
@given(data=st.data())
def test_octet_left_out(octets: bytes, check: Check, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(octets) - 1))
    assert is_refused(check, octets[:position] + octets[position + 1 :], check(octets))


@pytest.mark.parametrize(("octets", "check"), SIGNED_VALUES)
@given(data=st.data())
def test_octet_put_in(octets: bytes, check: Check, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(octets)))
    octet = data.draw(st.binary(min_size=1, max_size=1))
    assert is_refused(check, octets[:position] + octet + octets[position:], check(octets))


@pytest.mark.parametrize(("octets", "check"), SIGNED_VALUES)
def test_cut_short_anywhere(octets: bytes, check: Check) -> None:
    expected = check(octets)
    assert all(is_refused(check, octets[:size], expected) for size in range(len(octets)))
