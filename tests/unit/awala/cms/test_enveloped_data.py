import dataclasses
import itertools
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from awala.asn1 import ber, der, oids
from awala.cms.encrypted_content import EncryptedContent
from awala.cms.enveloped_data import EnvelopedData, encrypt
from awala.errors import DecryptionError, InvalidArgumentError, MalformedMessageError
from awala.limits import MAX_PLAINTEXT_SIZE
from awala.pki.keys import generate_rsa_key, spki_der
from awala.session_key import generate_session_key
from tests.unit.awala.cms.envelopes import (
    KEY_ID,
    ORIGINATOR_KEY_ID,
    PLAINTEXT,
    AuthEnvelope,
    BareGCMEnvelope,
    Envelope,
    GCMEnvelope,
)

PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC_KEY = PRIVATE_KEY.public_key()
PRIVATE_KEYS = {
    "P-256": PRIVATE_KEY,
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "P-521": ec.generate_private_key(ec.SECP521R1()),
}
# The size of the ciphertext's segments, or none if it is primitive, and whether lengths are indefinite.
ENCODINGS = {
    "DER": (None, False),
    "primitive ciphertext": (None, True),
    "definite segments": (1024, False),
    "JavaScript": (1024, True),
    "JVM": (1000, True),
}
UKM = {"without ukm": None, "empty ukm": b"", "with ukm": b"u" * 64}
OTHER_ATTRIBUTES = (
    der.sequence(der.object_identifier(oids.MESSAGE_DIGEST), der.set_of([der.octet_string(b"z")])),
    der.sequence(der.object_identifier(oids.CONTENT_TYPE), der.set_of([der.object_identifier(oids.DATA)])),
)
GCM_ENVELOPES: dict[str, Callable[..., Envelope]] = {
    "Bouncy Castle": GCMEnvelope,
    "PKI.js": BareGCMEnvelope,
    "AuthEnvelopedData": AuthEnvelope,
}
FAILURE = r"^Content cannot be decrypted$"
OTHER_PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_PUBLIC_KEY = OTHER_PRIVATE_KEY.public_key()
NONCE = der.octet_string(b"n" * 12)
NULL_IN_SEQUENCE = der.sequence(der.NULL)
EMPTY_SET = der.set_of([])


def envelope(**parts: bytes) -> Envelope:
    return Envelope(recipient_public_key=PUBLIC_KEY, parts=parts)


def read(sealed: Envelope) -> EnvelopedData:
    return EnvelopedData.deserialize(sealed.encode())


class TestDecrypt:
    @pytest.mark.parametrize("content_key_size", [16, 24, 32], ids=lambda size: f"AES-{size * 8}")
    @pytest.mark.parametrize("wrapping_key_size", [16, 24, 32], ids=lambda size: f"wrap-{size * 8}")
    @pytest.mark.parametrize("kdf_hash", ["sha256", "sha384", "sha512"])
    @pytest.mark.parametrize("curve", PRIVATE_KEYS)
    def test_every_algorithm_in_every_encoding(
        self, curve: str, kdf_hash: str, wrapping_key_size: int, content_key_size: int
    ) -> None:
        private_key = PRIVATE_KEYS[curve]
        for (encoding, (segment_size, indefinite)), (ukm_name, ukm) in itertools.product(
            ENCODINGS.items(), UKM.items()
        ):
            sealed = Envelope(
                recipient_public_key=private_key.public_key(),
                kdf_hash=kdf_hash,
                wrapping_key_size=wrapping_key_size,
                content_key_size=content_key_size,
                ukm=ukm,
                segment_size=segment_size,
                indefinite=indefinite,
            )
            assert read(sealed).decrypt(private_key) == PLAINTEXT, (encoding, ukm_name)

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
            Envelope(recipient_public_key=PUBLIC_KEY, content_key_size=32, declared_content_key_size=16),
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
            "content key too short",
            "content key too long",
            "empty ciphertext",
            "partial block",
            "short IV",
            "point off the curve",
            "unknown curve",
            "empty wrapped key",
        ],
    )
    def test_says_the_same_whatever_the_cause(self, sealed: Envelope) -> None:
        with pytest.raises(DecryptionError, match=FAILURE):
            read(sealed).decrypt(PRIVATE_KEY)

    def test_key_that_is_no_curve_key(self) -> None:
        enveloped_data = EnvelopedData(
            recipient_key_id=KEY_ID,
            originator_key_id=ORIGINATOR_KEY_ID,
            originator_public_key_der=spki_der(generate_rsa_key().public_key()),
            key_agreement=read(envelope()).key_agreement,
            ukm=None,
            wrapped_key=b"",
            content=EncryptedContent(key_size=16, nonce=b"", ciphertext=b""),
        )
        with pytest.raises(DecryptionError, match=FAILURE):
            enveloped_data.decrypt(PRIVATE_KEY)

    @pytest.mark.parametrize("make", GCM_ENVELOPES.values(), ids=GCM_ENVELOPES)
    @pytest.mark.parametrize("values", [{"recipient_public_key": OTHER_PUBLIC_KEY}, {"declared_content_key_size": 32}])
    def test_of_gcm_says_the_same(self, make: Callable[..., Envelope], values: dict[str, object]) -> None:
        with pytest.raises(DecryptionError, match=FAILURE):
            read(make(**{"recipient_public_key": PUBLIC_KEY} | values)).decrypt(PRIVATE_KEY)

    @pytest.mark.parametrize("make", GCM_ENVELOPES.values(), ids=GCM_ENVELOPES)
    @pytest.mark.parametrize("field", ["ciphertext", "tag", "nonce", "authenticated_data"])
    def test_changed_content_is_refused(self, make: Callable[..., Envelope], field: str) -> None:
        sealed = read(make(recipient_public_key=PUBLIC_KEY))
        changed = bytearray(getattr(sealed.content, field) or b"\x00")
        changed[-1] ^= 1
        content = dataclasses.replace(sealed.content, **{field: bytes(changed)})  # type: ignore[arg-type]
        with pytest.raises(DecryptionError, match=FAILURE):
            dataclasses.replace(sealed, content=content).decrypt(PRIVATE_KEY)

    @pytest.mark.parametrize("nonce", [b"", b"seven--"])
    def test_nonce_too_short(self, nonce: bytes) -> None:
        sealed = GCMEnvelope(recipient_public_key=PUBLIC_KEY, parts={"iv": der.octet_string(nonce)})
        with pytest.raises(DecryptionError, match=FAILURE):
            read(sealed).decrypt(PRIVATE_KEY)

    @pytest.mark.parametrize("sealed", [envelope(), GCMEnvelope(recipient_public_key=PUBLIC_KEY)])
    def test_tells_nothing_by_its_cause(self, sealed: Envelope) -> None:
        for failing in (sealed, dataclasses.replace(sealed, recipient_public_key=OTHER_PUBLIC_KEY)):
            with pytest.raises(DecryptionError) as caught:
                read(failing).decrypt(OTHER_PRIVATE_KEY if failing is sealed else PRIVATE_KEY)
            assert caught.value.__cause__ is None
            assert caught.value.__context__ is None

    @pytest.mark.parametrize(
        "sealed",
        [
            envelope(),
            Envelope(recipient_public_key=PUBLIC_KEY, declared_content_key_size=32),
            GCMEnvelope(recipient_public_key=PUBLIC_KEY),
        ],
    )
    def test_content_is_decrypted_whatever_became_of_its_key(
        self, sealed: Envelope, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As long as a wrong key takes as much work as bad padding, time does not tell one from the other."""
        keys: list[bytes] = []
        decrypt = EncryptedContent.decrypt

        def note_key(content: EncryptedContent, key: bytes) -> bytes | None:
            keys.append(key)
            return decrypt(content, key)

        monkeypatch.setattr(EncryptedContent, "decrypt", note_key)
        enveloped_data = read(sealed)
        with pytest.raises(DecryptionError):
            enveloped_data.decrypt(OTHER_PRIVATE_KEY)
        assert [len(key) for key in keys] == [enveloped_data.content.key_size]


class TestDecryptGCM:
    @pytest.mark.parametrize("content_key_size", [16, 24, 32], ids=lambda size: f"AES-{size * 8}")
    @pytest.mark.parametrize("encoding", ENCODINGS)
    @pytest.mark.parametrize("make", GCM_ENVELOPES.values(), ids=GCM_ENVELOPES)
    def test_every_form_in_every_encoding(
        self, make: Callable[..., Envelope], encoding: str, content_key_size: int
    ) -> None:
        segment_size, indefinite = ENCODINGS[encoding]
        for ukm_name, ukm in UKM.items():
            sealed = make(
                recipient_public_key=PUBLIC_KEY,
                content_key_size=content_key_size,
                ukm=ukm,
                segment_size=segment_size,
                indefinite=indefinite,
            )
            assert read(sealed).decrypt(PRIVATE_KEY) == PLAINTEXT, ukm_name

    @pytest.mark.parametrize("curve", PRIVATE_KEYS)
    @pytest.mark.parametrize("kdf_hash", ["sha256", "sha384", "sha512"])
    @pytest.mark.parametrize("wrapping_key_size", [16, 24, 32])
    @pytest.mark.parametrize("make", GCM_ENVELOPES.values(), ids=GCM_ENVELOPES)
    def test_every_key_agreement(
        self, make: Callable[..., Envelope], wrapping_key_size: int, kdf_hash: str, curve: str
    ) -> None:
        private_key = PRIVATE_KEYS[curve]
        sealed = make(
            recipient_public_key=private_key.public_key(), kdf_hash=kdf_hash, wrapping_key_size=wrapping_key_size
        )
        assert read(sealed).decrypt(private_key) == PLAINTEXT

    @pytest.mark.parametrize("maker", ["PKI.js 3 by relaynet-core, AES-256", "OpenSSL 3, AES-128, AuthEnvelopedData"])
    def test_what_others_make(self, maker: str) -> None:
        scalar, octets = MADE_BY_OTHERS[maker]
        private_key = ec.derive_private_key(scalar, ec.SECP256R1())
        assert EnvelopedData.deserialize(octets).decrypt(private_key).startswith(b"hello")

    @pytest.mark.parametrize("tag_size", [12, 13, 14, 15, 16])
    @pytest.mark.parametrize("make", [GCMEnvelope, AuthEnvelope])
    def test_every_tag_size(self, make: Callable[..., Envelope], tag_size: int) -> None:
        assert read(make(recipient_public_key=PUBLIC_KEY, tag_size=tag_size)).decrypt(PRIVATE_KEY) == PLAINTEXT

    @pytest.mark.parametrize("make", GCM_ENVELOPES.values(), ids=GCM_ENVELOPES)
    def test_empty_plaintext(self, make: Callable[..., Envelope]) -> None:
        assert read(make(recipient_public_key=PUBLIC_KEY, plaintext=b"")).decrypt(PRIVATE_KEY) == b""

    @pytest.mark.parametrize("indefinite", [False, True])
    @pytest.mark.parametrize("is_key_id_authenticated", [False, True])
    @pytest.mark.parametrize("authenticated", [(), OTHER_ATTRIBUTES, OTHER_ATTRIBUTES[::-1]])
    def test_authenticated_attributes(
        self,
        authenticated: tuple[bytes, ...],
        is_key_id_authenticated: bool,  # noqa: FBT001
        indefinite: bool,  # noqa: FBT001
    ) -> None:
        """They are covered as DER has them, whatever their order and lengths; the key id may be among them."""
        sealed = read(
            AuthEnvelope(
                recipient_public_key=PUBLIC_KEY,
                authenticated=authenticated,
                is_key_id_authenticated=is_key_id_authenticated,
                indefinite=indefinite,
            )
        )
        assert sealed.decrypt(PRIVATE_KEY) == PLAINTEXT
        assert sealed.originator_key_id == ORIGINATOR_KEY_ID


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
            ("cipher", der.object_identifier(oids.encode("2.16.840.1.101.3.4.1.3"))),
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

    @pytest.mark.parametrize(
        ("part", "value"),
        [
            pytest.param("cipher", der.object_identifier(oids.AES128_WRAP), id="another cipher"),
            pytest.param("iv", der.sequence(), id="no nonce"),
            pytest.param("iv", der.sequence(der.integer(12)), id="size for a nonce"),
            pytest.param("iv", der.sequence(NONCE, der.integer(11)), id="tag of 11 octets"),
            pytest.param("iv", der.sequence(NONCE, der.integer(17)), id="tag of 17 octets"),
            pytest.param("iv", der.sequence(NONCE, der.integer(16), der.NULL), id="three parameters"),
            pytest.param("iv", der.NULL, id="parameters of another type"),
        ],
    )
    @pytest.mark.parametrize("make", [GCMEnvelope, AuthEnvelope])
    def test_refused_gcm(self, make: Callable[..., Envelope], part: str, value: bytes) -> None:
        with pytest.raises(MalformedMessageError):
            read(make(recipient_public_key=PUBLIC_KEY, parts={part: value}))

    @pytest.mark.parametrize("make", [GCMEnvelope, BareGCMEnvelope])
    def test_content_shorter_than_its_tag(self, make: Callable[..., Envelope]) -> None:
        with pytest.raises(MalformedMessageError, match="shorter"):
            read(make(recipient_public_key=PUBLIC_KEY, parts={"ciphertext": der.context(0, bytes(15))}))

    @pytest.mark.parametrize(
        ("part", "value"),
        [
            pytest.param("version", der.integer(2), id="version of EnvelopedData"),
            pytest.param("recipients", der.context(0, b"", constructed=True) + EMPTY_SET, id="originator info"),
            pytest.param("cipher", der.object_identifier(oids.AES128_CBC), id="CBC"),
            pytest.param("mac", der.octet_string(bytes(15)), id="tag of another size"),
            pytest.param("mac", der.NULL, id="tag of another type"),
            pytest.param("mac", b"", id="no tag"),
            pytest.param("attributes", b"", id="no key id"),
            pytest.param("attributes", der.context(1, b"", constructed=True), id="attributes with another number"),
        ],
    )
    def test_refused_auth_enveloped_data(self, part: str, value: bytes) -> None:
        with pytest.raises(MalformedMessageError):
            read(AuthEnvelope(recipient_public_key=PUBLIC_KEY, parts={part: value}))

    def test_auth_enveloped_data_without_tag_after_attributes(self) -> None:
        sealed = AuthEnvelope(
            recipient_public_key=PUBLIC_KEY, authenticated=OTHER_ATTRIBUTES, parts={"mac": b"", "attributes": b""}
        )
        with pytest.raises(MalformedMessageError, match="tag"):
            read(sealed)

    def test_enveloped_data_that_claims_to_be_authenticated(self) -> None:
        with pytest.raises(MalformedMessageError):
            read(envelope(content_type=der.object_identifier(oids.AUTH_ENVELOPED_DATA)))

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
        assert enveloped_data.content.key_size == 16
        assert enveloped_data.content.tag is None
        assert len(enveloped_data.ukm or b"") == 64
        assert der.context(0, enveloped_data.content.ciphertext) in octets

    def test_no_two_are_alike(self) -> None:
        key, private_key = generate_session_key()
        one, other = (
            EnvelopedData.deserialize(
                encrypt(PLAINTEXT, recipient_key=key, originator_key=key, originator_private_key=private_key)
            )
            for _ in range(2)
        )
        assert one.content.nonce != other.content.nonce
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

# The scalar of the recipient's P-256 key, and what was encrypted to it with AES-GCM. To what OpenSSL made, the curve
# and the originator's key id were added, neither of which the tag covers.
MADE_BY_OTHERS = {
    "PKI.js 3 by relaynet-core, AES-256": (
        0x1CE7C30B657851358DACF6A65ABFDE3237C34B986A0DC7A69EE5FF10124F26E6,
        bytes.fromhex(
            "308006092a864886f70d010703a08030800201023181f8a181f5020103a05ba159301306072a8648ce3d020106082a8648ce3d03"
            "010703420004fe5e326926002299c2cf177dd80551cf2401165657ca78becb6722080e2d9552137008357171f11cfde0c37ddaad"
            "2e5bddc6eb1a3a34ea4d0235a269d0f9d514a14204402bf891ca829a1758431719998e40eb8710c2ed4136a2a1d175fb970aa4c0"
            "459c3240a695fc88c328129e281b598074f3d8332000e0c9b7a7d81fce8e5e598a10301506062b8104010b03300b060960864801"
            "650304012d30383036a00a040801020304050607080428451b6c2ca85f9cbf53d20e0753662bb2ca26e35db068712f05764bfe0d"
            "ff3086fc132cbabdb8246a308006092a864886f70d010701301d060960864801650304012e04103bdc437496b4b2842822f34d35"
            "225b2fa0800421f647a3173a9943f3b47cd5d84c7ad5ac3a409e05292ef074d566100d74b30e9a2c00000000a11b3019060b2b06"
            "01040183ca54000100310a0408061bf88c933b8ff2000000000000"
        ),
    ),
    "OpenSSL 3, AES-128, AuthEnvelopedData": (
        0xE200FA3E02AA5754CCB134A6FB5E770A0CCE145C7A9C125876E59052309ECADE,
        bytes.fromhex(
            "30820130060b2a864886f70d0109100117a082011f3082011b0201003181b0a181ad020103a05ba159301306072a8648ce3d0201"
            "06082a8648ce3d03010703420004dc2dbe10e949e3b2aff92fa7b66a31283e335d86da4a7f8961211cfa3d0de15b20e9a8dfdaba"
            "66607bc09b7a4fcae67f79fdbf06a1a2242c9f384edd059f595e301506062b8104010b01300b0609608648016503040105303430"
            "32a0160414ccd3e03884a54181a70fc2c5dff263ac67e1c01504186e253e80daa73d10fa92095950f0acd36b99b6359b431ec330"
            "3206092a864886f70d010701301e06096086480165030401063011040c5693ad971b51a9182bc4ed4c02011080058f0532d34a04"
            "1047573ab0bc668afc5be68b45d597fa3aa21d301b060b2b0601040183ca54000100310c040a6f726967696e61746f72"
        ),
    ),
}
