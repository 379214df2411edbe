"""Reads the messages that the deployed libraries made (tests/vectors)."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from awala.pki.certificate import Certificate

FOLDER = Path(__file__).with_name("vectors")
MANIFEST: Mapping[str, Any] = json.loads((FOLDER / "manifest.json").read_bytes())
# When the messages were made: what says of itself no other time is looked at then.
VERIFY_AT = datetime.fromisoformat("2026-11-20T22:37:17Z")


@dataclass(frozen=True, kw_only=True)
class Vector:
    """One file of the manifest and what the manifest says of it."""

    file: str
    type: str
    facts: Mapping[str, Any]

    @property
    def octets(self) -> bytes:
        return read(self.file)

    @property
    def is_valid(self) -> bool:
        return bool(self.facts.get("valid", True))

    @property
    def verify_at(self) -> datetime:
        return time_of(self.facts["verifyAt"]) if "verifyAt" in self.facts else VERIFY_AT


VECTORS = tuple(Vector(file=entry["file"], type=entry["type"], facts=entry) for entry in MANIFEST["vectors"])


def of_type(type_name: str) -> tuple[Vector, ...]:
    return tuple(vector for vector in VECTORS if vector.type == type_name)


@cache
def read(file: str) -> bytes:
    return (FOLDER / file).read_bytes()


def certificate(name: str) -> Certificate:
    """Return the certificate that the manifest calls ``name``."""
    return Certificate.parse(read(MANIFEST["certificates"][name]["file"]))


def key_facts(name: str) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = MANIFEST["keys"][name]
    return facts


def spki(name: str) -> bytes:
    return base64.b64decode(key_facts(name)["spkiBase64"])


def rsa_public_key(name: str) -> rsa.RSAPublicKey:
    key = load_der_public_key(spki(name))
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def rsa_private_key(name: str) -> rsa.RSAPrivateKey:
    key = load_der_private_key(read(key_facts(name)["pkcs8"]), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def session_private_key(name: str) -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(read(key_facts(name)["pkcs8"]), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def time_of(text: str) -> datetime:
    return datetime.fromisoformat(text)
