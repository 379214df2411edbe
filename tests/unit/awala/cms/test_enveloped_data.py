import itertools

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from awala.asn1 import ber, der, oids
from awala.cms.enveloped_data import EnvelopedData, encrypt
from awala.errors import DecryptionError, InvalidArgumentError, MalformedMessageError
from awala.limits import MAX_PLAINTEXT_SIZE
from awala.pki.keys import generate_rsa_key, spki_der
from awala.session_key import generate_session_key
from tests.unit.awala.cms.envelopes import KEY_ID, ORIGINATOR_KEY_ID, PLAINTEXT, Envelope

PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_KEY = PRIVATE_KEY.public_key()
NULL_IN_SEQUENCE = der.sequence(der.NULL)
EMPTY_SET = der.set_of([])


def envelope(**parts: bytes) -> Envelope:
    return Envelope(recipient_public_key=PUBLIC_KEY, parts=parts)


def read(sealed: Envelope) -> EnvelopedData:
    return EnvelopedData.deserialize(sealed.encode())


class TestDecrypt:
    @pytest.mark.parametrize(
        ("kdf_hash", "wrapping_key_size", "content_key_size"),
        list(itertools.product(("sha256", "sha384", "sha512"), (16, 24, 32), (16, 24, 32))),
    )
    def test_every_algorithm(self, kdf_hash: str, wrapping_key_size: int, content_key_size: int) -> None:
        sealed = Envelope(
            recipient_public_key=PUBLIC_KEY,
            kdf_hash=kdf_hash,
            wrapping_key_size=wrapping_key_size,
            content_key_size=content_key_size,
        )
        assert read(sealed).decrypt(PRIVATE_KEY) == PLAINTEXT

    @pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
    def test_every_curve(self, curve: ec.EllipticCurve) -> None:
        private_key = ec.generate_private_key(curve)
        assert read(Envelope(recipient_public_key=private_key.public_key())).decrypt(private_key) == PLAINTEXT

    @pytest.mark.parametrize("ukm", [None, b"", b"user keying material"])
    def test_any_user_keying_material(self, ukm: bytes | None) -> None:
        assert read(Envelope(recipient_public_key=PUBLIC_KEY, ukm=ukm)).decrypt(PRIVATE_KEY) == PLAINTEXT

    @pytest.mark.parametrize(
        ("segment_size", "indefinite"),
        [(None, False), (None, True), (1024, False), (1024, True), (1000, True)],
        ids=["DER", "primitive", "constructed", "JavaScript", "JVM"],
    )
    def test_every_encoding(self, segment_size: int | None, indefinite: bool) -> None:  # noqa: FBT001
        sealed = Envelope(recipient_public_key=PUBLIC_KEY, segment_size=segment_size, indefinite=indefinite)
        assert read(sealed).decrypt(PRIVATE_KEY) == PLAINTEXT

    @pytest.mark.parametrize("size", [0, 1, 15, 16, 17])
    def test_any_size(self, size: int) -> None:
        assert read(Envelope(recipient_public_key=PUBLIC_KEY, plaintext=bytes(size))).decrypt(PRIVATE_KEY) == bytes(
            size
        )

    def test_worked_example(self) -> None:
        """The example of the protocol notes: a key and what a JavaScript node encrypted to it."""
        scalar = 0x410C1E815ADA5A416F482E9238DEA747690FF00AF0E8B2E6A3C8868C5C90DEB9
        private_key = ec.derive_private_key(scalar, ec.SECP256R1())
        enveloped_data = EnvelopedData.deserialize(WORKED_EXAMPLE)
        assert enveloped_data.decrypt(private_key).endswith(b"hello")
        assert enveloped_data.recipient_key_id.hex() == "61c9a0446967eb82"
        assert enveloped_data.originator_key_id.hex() == "78e161e7bd6b1171"


class TestFailedDecryption:
    @pytest.mark.parametrize(
        "sealed",
        [
            Envelope(recipient_public_key=ec.generate_private_key(ec.SECP256R1()).public_key()),
            Envelope(recipient_public_key=ec.generate_private_key(ec.SECP384R1()).public_key()),
            Envelope(recipient_public_key=PUBLIC_KEY, plaintext=b"n" * 16, padding=b""),
            Envelope(recipient_public_key=PUBLIC_KEY, plaintext=b"", padding=b"\x00" * 16),
            Envelope(recipient_public_key=PUBLIC_KEY, declared_content_key_size=32),
            envelope(ciphertext=der.context(0, b"")),
            envelope(ciphertext=der.context(0, b"odd")),
            envelope(iv=der.octet_string(b"short")),
            envelope(point=der.bit_string(b"\x04" + bytes(64))),
            envelope(curve=der.object_identifier(oids.encode("1.3.132.0.99"))),
            envelope(keys=der.sequence(der.sequence(der.context(0, b"\x04\x00", constructed=True), b"\x04\x00"))),
        ],
        ids=[
            "another key",
            "another curve",
            "no padding",
            "zero padding",
            "content key size",
            "empty ciphertext",
            "partial block",
            "short IV",
            "point off the curve",
            "unknown curve",
            "empty wrapped key",
        ],
    )
    def test_says_the_same_whatever_the_cause(self, sealed: Envelope) -> None:
        with pytest.raises(DecryptionError, match=r"^Content cannot be decrypted$"):
            read(sealed).decrypt(PRIVATE_KEY)

    def test_key_that_is_no_curve_key(self) -> None:
        enveloped_data = EnvelopedData(
            recipient_key_id=KEY_ID,
            originator_key_id=ORIGINATOR_KEY_ID,
            originator_public_key_der=spki_der(generate_rsa_key().public_key()),
            key_agreement=read(envelope()).key_agreement,
            ukm=None,
            wrapped_key=b"",
            content_key_size=16,
            iv=b"",
            ciphertext=b"",
        )
        with pytest.raises(DecryptionError, match=r"^Content cannot be decrypted$"):
            enveloped_data.decrypt(PRIVATE_KEY)


class TestDeserialize:
    def test_key_ids(self) -> None:
        enveloped_data = read(envelope())
        assert enveloped_data.recipient_key_id == KEY_ID
        assert enveloped_data.originator_key_id == ORIGINATOR_KEY_ID

    def test_originator_key_id_as_integer(self) -> None:
        sealed = envelope(originator_key_id=der.element(ber.INTEGER, ORIGINATOR_KEY_ID))
        assert read(sealed).originator_key_id == ORIGINATOR_KEY_ID

    def test_other_unprotected_attributes_are_skipped(self) -> None:
        own = der.sequence(
            der.object_identifier(oids.ORIGINATOR_SESSION_KEY_ID), der.set_of([der.octet_string(ORIGINATOR_KEY_ID)])
        )
        other = der.sequence(der.object_identifier(oids.CONTENT_TYPE), der.set_of([der.NULL]))
        sealed = envelope(attributes=der.context(1, other + own, constructed=True))
        assert read(sealed).originator_key_id == ORIGINATOR_KEY_ID

    def test_originator_session_key(self) -> None:
        session_key = read(envelope()).originator_session_key()
        assert session_key.key_id == ORIGINATOR_KEY_ID

    def test_originator_key_that_cannot_be_answered(self) -> None:
        public_key = ec.generate_private_key(ec.SECP384R1()).public_key()
        enveloped_data = read(Envelope(recipient_public_key=public_key))
        with pytest.raises(MalformedMessageError, match="P-256"):
            enveloped_data.originator_session_key()

    def test_sessionless_form(self) -> None:
        with pytest.raises(MalformedMessageError, match="without a session"):
            read(envelope(recipient=der.sequence(der.integer(0)), attributes=b""))

    @pytest.mark.parametrize(
        ("part", "value"),
        [
            ("content_type", der.object_identifier(oids.SIGNED_DATA)),
            ("version", der.integer(3)),
            ("recipients", EMPTY_SET),
            ("recipients", NULL_IN_SEQUENCE),
            ("recipient", der.context(1, b"", constructed=True)),
            ("recipient", der.context(2, b"", constructed=True)),
            ("recipient_version", der.integer(2)),
            ("originator", der.context(0, KEY_ID)),
            ("originator", der.context(1, NULL_IN_SEQUENCE, constructed=True)),
            ("originator_oid", der.object_identifier(oids.RSA_ENCRYPTION)),
            ("curve", der.NULL),
            ("point", b"\x03\x02\x01\x00"),
            ("kdf", der.object_identifier(oids.SHA256)),
            ("wrap", der.sequence(der.object_identifier(oids.AES128_CBC))),
            ("agreement", NULL_IN_SEQUENCE),
            ("keys", der.sequence()),
            ("key_id", b""),
            ("encrypted_type", der.object_identifier(oids.SIGNED_DATA)),
            ("cipher", der.object_identifier(oids.encode("2.16.840.1.101.3.4.1.6"))),
            ("ciphertext", der.NULL),
            ("attributes", b""),
            ("attributes", der.context(1, b"", constructed=True)),
            ("values", EMPTY_SET),
            ("values", der.element(ber.SET, der.octet_string(b"1") + der.octet_string(b"2"))),
            ("originator_key_id", der.NULL),
        ],
    )
    def test_refused(self, part: str, value: bytes) -> None:
        with pytest.raises(MalformedMessageError):
            read(envelope(**{part: value}))

    def test_recipient_key_id_with_date(self) -> None:
        sealed = envelope(key_id=der.octet_string(KEY_ID) + der.element(ber.GENERALIZED_TIME, b"20300101000000Z"))
        assert read(sealed).recipient_key_id == KEY_ID


class TestEncrypt:
    def test_round_trip(self) -> None:
        recipient_key, recipient_private_key = generate_session_key()
        originator_key, originator_private_key = generate_session_key()
        octets = encrypt(
            PLAINTEXT,
            recipient_key=recipient_key,
            originator_key=originator_key,
            originator_private_key=originator_private_key,
        )
        enveloped_data = EnvelopedData.deserialize(octets)
        assert enveloped_data.recipient_key_id == recipient_key.key_id
        assert enveloped_data.originator_session_key() == originator_key
        assert enveloped_data.decrypt(recipient_private_key) == PLAINTEXT

    def test_form_that_both_libraries_read(self) -> None:
        """SHA-256 KDF, AES-128 wrap and CBC, 64 octets of keying material, DER with a primitive ciphertext."""
        key, private_key = generate_session_key()
        octets = encrypt(b"", recipient_key=key, originator_key=key, originator_private_key=private_key)
        enveloped_data = EnvelopedData.deserialize(octets)
        assert enveloped_data.key_agreement.kdf_hash.name == "sha256"
        assert enveloped_data.key_agreement.wrapping_key_size == 16
        assert enveloped_data.content_key_size == 16
        assert len(enveloped_data.ukm or b"") == 64
        assert der.context(0, enveloped_data.ciphertext) in octets

    def test_no_two_are_alike(self) -> None:
        key, private_key = generate_session_key()
        one, other = (
            EnvelopedData.deserialize(
                encrypt(PLAINTEXT, recipient_key=key, originator_key=key, originator_private_key=private_key)
            )
            for _ in range(2)
        )
        assert one.iv != other.iv
        assert one.ukm != other.ukm
        assert one.wrapped_key != other.wrapped_key

    def test_oversized_plaintext(self) -> None:
        key, private_key = generate_session_key()
        plaintext = bytes(MAX_PLAINTEXT_SIZE + 1)
        with pytest.raises(InvalidArgumentError, match="large"):
            encrypt(plaintext, recipient_key=key, originator_key=key, originator_private_key=private_key)

    def test_keys_that_do_not_belong_together(self) -> None:
        key, _ = generate_session_key()
        _, private_key = generate_session_key()
        with pytest.raises(InvalidArgumentError, match="together"):
            encrypt(b"", recipient_key=key, originator_key=key, originator_private_key=private_key)


WORKED_EXAMPLE = bytes.fromhex(
    "308006092a864886f70d010703a08030800201023181e8a181e5020103a05ba159301306072a8648ce3d020106082a8648ce3d03"
    "0107034200045e5928638c07354203c901259b5ecd394dd7f51603cff7481c14053ce190899c818c07d726b8c6a16d7d89be4f32"
    "7fb7ad6ae17b8526c3ffea57ff2f3ade147aa14204405c058a429d1e68a720933d978c5cd0497333da8832b21faba9f1636d14a4"
    "b2a0e9e24ac5a69f79a12980cc3d21195f404479431f608479db0221e61a64fe06b6301506062b8104010b03300b060960864801"
    "650304012d30283026a00a040861c9a0446967eb8204183a81b75c4867e550af84ba4fee4a43583fc19e0ebadf0545308006092a"
    "864886f70d010701301d06096086480165030401020410aad4711b22ffbdb8d67fcbd71be224f7a08004208dc7631d1f2a28cf06"
    "2706b1f26ff35e9630a26b4484c09c917cf08bca5badd000000000a11b3019060b2b0601040183ca54000100310a040878e161e7"
    "bd6b1171000000000000"
)
