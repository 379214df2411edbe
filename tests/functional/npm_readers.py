"""What the published libraries make of octets: every method raises NpmClientError if they refuse them."""

from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.functional import npm_answers
from tests.functional.npm_process import NpmProcess
from tests.functional.npm_values import (
    CertificationPath,
    ConnectionParams,
    ParsedCertificate,
    ParsedParcel,
    Registration,
    RegistrationAuthorization,
    RegistrationRequest,
    SignaturePurpose,
)

PATIENCE_SECONDS = 60.0

Octets = bytes | Path


class NpmReaders:
    """The reading half of `NpmClients`."""

    def __init__(self, process: NpmProcess) -> None:
        self._process = process

    def _call(self, command: str, *, timeout: float = PATIENCE_SECONDS, **params: Any) -> dict[str, Any]:
        return self._process.call(command, params, timeout=timeout)

    def parse_parcel(self, parcel: Octets) -> ParsedParcel:
        """Checks the signature, as the library does on reading, and nothing else."""
        return npm_answers.parcel(self._call("parse_parcel", parcel=parcel))

    def verify_parcel(self, parcel: Octets, *, trusted: Sequence[bytes] | None = None) -> ParsedParcel:
        """With trusted certificates, as their gateway or endpoint would; without, as an Internet endpoint."""
        return npm_answers.parcel(self._call("verify_parcel", parcel=parcel, trusted=trusted))

    def verify_certificate(
        self,
        certificate_der: bytes,
        *,
        trusted: Sequence[bytes] | None = None,
        intermediates: Sequence[bytes] = (),
    ) -> ParsedCertificate:
        """Must be valid now, and lead to a trusted certificate if any are given."""
        return npm_answers.certificate(
            self._call(
                "verify_certificate",
                certificate=certificate_der,
                intermediates=intermediates,
                trusted=trusted,
            )
        )

    def verify_detached(
        self, purpose: SignaturePurpose, signature: bytes, plaintext: Octets, *, trusted: Sequence[bytes]
    ) -> str:
        """The signer's node id."""
        answer = self._call(
            "verify_detached", purpose=purpose, signature=signature, plaintext=plaintext, trusted=trusted
        )
        return str(answer["signerId"])

    def parse_connection_params(self, octets: bytes) -> ConnectionParams:
        return npm_answers.connection_params(self._call("parse_connection_params", octets=octets))

    def parse_registration(self, octets: bytes) -> Registration:
        return npm_answers.registration(self._call("parse_registration", octets=octets))

    def parse_registration_authorization(self, octets: bytes, gateway_spki_der: bytes) -> RegistrationAuthorization:
        return npm_answers.registration_authorization(
            self._call("parse_registration_authorization", octets=octets, gatewaySpki=gateway_spki_der)
        )

    def parse_registration_request(self, octets: bytes) -> RegistrationRequest:
        return npm_answers.registration_request(self._call("parse_registration_request", octets=octets))

    def parse_handshake_challenge(self, octets: bytes) -> bytes:
        """The nonce."""
        return b64decode(self._call("parse_handshake_challenge", octets=octets)["nonce"])

    def parse_handshake_response(self, octets: bytes) -> list[bytes]:
        """The signatures."""
        answer = self._call("parse_handshake_response", octets=octets)
        return [b64decode(signature) for signature in answer["signatures"]]

    def parse_parcel_delivery(self, octets: Octets) -> tuple[str, bytes]:
        """The delivery id and the parcel."""
        answer = self._call("parse_parcel_delivery", octets=octets)
        return answer["deliveryId"], self._process.decode(answer["parcel"])

    def parse_certification_path(self, octets: bytes) -> CertificationPath:
        return npm_answers.certification_path(self._call("parse_certification_path", octets=octets))
