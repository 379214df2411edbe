"""The network's published JavaScript clients, for tests of what others make of our octets and servers."""

from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from tests.functional import npm_answers
from tests.functional.npm_collection import NpmCollection
from tests.functional.npm_couriers import NpmCouriers
from tests.functional.npm_process import NpmProcess
from tests.functional.npm_readers import PATIENCE_SECONDS, Octets
from tests.functional.npm_values import (
    CertificateKind,
    CertificationPath,
    Closure,
    CollectedParcel,
    CollectionSummary,
    ConnectionParams,
    HashName,
    Identity,
    MadeParcel,
    NpmClientError,
    NpmProcessError,
    ParsedCertificate,
    ParsedParcel,
    PublicSessionKey,
    Registration,
    RegistrationAuthorization,
    RegistrationRequest,
    Server,
    ServiceMessage,
    SessionKeyPair,
    SignaturePurpose,
    Signer,
    StreamingMode,
    VerificationCost,
)

__all__ = [
    "CertificationPath",
    "Closure",
    "CollectedParcel",
    "CollectionSummary",
    "ConnectionParams",
    "Identity",
    "MadeParcel",
    "NpmClientError",
    "NpmClients",
    "NpmCollection",
    "NpmProcessError",
    "ParsedCertificate",
    "ParsedParcel",
    "PublicSessionKey",
    "Registration",
    "RegistrationAuthorization",
    "RegistrationRequest",
    "Server",
    "ServiceMessage",
    "SessionKeyPair",
    "Signer",
    "VerificationCost",
]

BACKDATING = timedelta(minutes=90)
LIFETIME = timedelta(days=30)

Params = dict[str, Any]


class NpmClients(NpmCouriers):
    """One Node process with the libraries loaded. Methods may be called from several threads at once."""

    @classmethod
    def start(cls) -> Self:
        return cls(NpmProcess.start())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._process.close()

    # ------------------------------------------------------------------ keys and certificates

    def generate_identity(self, *, modulus: int = 2048, hash_name: HashName = "SHA-256") -> Identity:
        return npm_answers.identity(self._call("generate_identity", modulus=modulus, hash=hash_name))

    def import_identity(self, private_key_pkcs8_der: bytes, *, hash_name: HashName = "SHA-256") -> Identity:
        return npm_answers.identity(self._call("import_identity", privateKey=private_key_pkcs8_der, hash=hash_name))

    def export_identity(self, identity: Identity) -> bytes:
        """The private key as PKCS#8 DER."""
        return b64decode(self._call("export_identity", key=identity.handle)["privateKey"])

    def generate_session_key(self) -> SessionKeyPair:
        result = self._call("generate_session_key")
        return SessionKeyPair(handle=result["handle"], public=npm_answers.session_key(result))

    def issue_certificate(
        self,
        kind: CertificateKind,
        subject: Identity | bytes,
        *,
        issuer: Identity,
        issuer_certificate_der: bytes | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> bytes:
        """Self-issued without an issuer certificate. The subject may be another process's: give its SPKI."""
        now = datetime.now(UTC)
        named = {"subject": subject.handle} if isinstance(subject, Identity) else {"subjectSpki": subject}
        result = self._call(
            "issue_certificate",
            kind=kind,
            **named,
            issuer=issuer.handle,
            issuerCertificate=issuer_certificate_der,
            notBefore=(not_before or now - BACKDATING).isoformat(),
            notAfter=(not_after or now + LIFETIME).isoformat(),
        )
        return b64decode(result["certificate"])

    # ------------------------------------------------------------------ parcels

    def make_parcel(
        self,
        sender: Signer,
        recipient_id: str,
        *,
        recipient_internet_address: str | None = None,
        payload: Octets | None = None,
        payload_size: int | None = None,
        service_message: ServiceMessage | None = None,
        recipient_session_key: PublicSessionKey | None = None,
        chain: Sequence[bytes] = (),
        parcel_id: str | None = None,
        ttl_seconds: int | None = None,
        creation_offset_seconds: float = 0,
        hash_name: HashName | None = None,
    ) -> MadeParcel:
        """The payload is given, or random, or a service message encrypted to a session key.

        `hash_name` is the library's option for the digest: the signature's own hash follows the sender's key.
        What is None is left to the library.
        """
        result = self._call(
            "make_parcel",
            sender=sender.identity.handle,
            senderCertificate=sender.certificate_der,
            chain=chain,
            recipient={"id": recipient_id, "internetAddress": recipient_internet_address},
            payload=payload,
            payloadSize=payload_size,
            serviceMessage=_sealing(service_message, recipient_session_key),
            parcelId=parcel_id,
            ttl=ttl_seconds,
            creationOffsetSeconds=creation_offset_seconds,
            hash=hash_name,
        )
        serialized = self._process.decode(result["parcel"])
        return MadeParcel(id=result["id"], serialized=serialized, sha256=result["sha256"])

    def unwrap_parcel(self, parcel: Octets, session_key: SessionKeyPair) -> ServiceMessage:
        result = self._call("unwrap_parcel", parcel=parcel, sessionKey=session_key.handle)
        return ServiceMessage(type=result["type"], content=self._process.decode(result["content"]))

    def bench_verify(
        self, parcel: Octets, *, trusted: Sequence[bytes], iterations: int, warm_up: int = 20
    ) -> VerificationCost:
        """Let no other command run meanwhile: the CPU time is the whole process's."""
        result = self._call(
            "bench_verify",
            parcel=parcel,
            trusted=trusted,
            iterations=iterations,
            warmUp=warm_up,
            timeout=PATIENCE_SECONDS + iterations / 10,
        )
        return VerificationCost(
            cpu_microseconds=result["cpuMicroseconds"], wall_microseconds=result["wallMicroseconds"]
        )

    # ------------------------------------------------------------------ exchanges with a server

    def register(self, server: Server, identity: Identity) -> Registration:
        """Pre-registration and registration; again for an identity already known renews its certificate."""
        return npm_answers.registration(self._call("register", **_server(server), key=identity.handle))

    def pre_register(self, server: Server, identity: Identity) -> bytes:
        """The first half of `register`: the authorization, serialized."""
        result = self._call("pre_register", **_server(server), key=identity.handle)
        return b64decode(result["authorization"])

    def complete_registration(self, server: Server, identity: Identity, authorization: bytes) -> Registration:
        params = _server(server) | {"key": identity.handle, "authorization": authorization}
        return npm_answers.registration(self._call("complete_registration", **params))

    def get_connection_params(self, server: Server) -> ConnectionParams:
        return npm_answers.connection_params(self._call("get_connection_params", **_server(server)))

    def deliver_parcel_poweb(self, server: Server, signer: Signer, parcel: Octets) -> None:
        """Its NpmClientError is named RefusedParcelError (422), ParcelDeliveryError or ServerError (5xx)."""
        self._call("deliver_parcel_poweb", **_server(server), **_signer(signer), parcel=parcel)

    def deliver_parcel_pohttp(
        self,
        url: str,
        parcel: Octets,
        *,
        timeout_seconds: float | None = None,
        max_redirects: int | None = None,
    ) -> int:
        """The status, which is 2xx. The library's own limits are 3 s and 3 redirects.

        Its NpmClientError is named PoHTTPInvalidParcelError (403), PoHTTPClientBindingError (another 4xx) or
        PoHTTPError.
        """
        timeout_ms = None if timeout_seconds is None else timeout_seconds * 1000
        result = self._call(
            "deliver_parcel_pohttp", url=url, parcel=parcel, timeoutMs=timeout_ms, maxRedirects=max_redirects
        )
        return int(result["status"])

    def collect(
        self,
        server: Server,
        signers: Sequence[Signer],
        *,
        mode: StreamingMode,
        acknowledge: bool = True,
        acknowledge_delay_seconds: float = 0,
        max_parcels: int | None = None,
        parse: bool = False,
        keep_serialized: bool = False,
    ) -> NpmCollection:
        """Runs beside everything else until its end, its `stop` or `max_parcels`.

        Leaving after `max_parcels` the library cuts the connection, perhaps before the last ACK has gone out.
        """
        params = _server(server) | {
            "signers": [_signer(signer) for signer in signers],
            "mode": mode,
            "acknowledge": acknowledge,
            "acknowledgeDelayMs": acknowledge_delay_seconds * 1000,
            "maxParcels": max_parcels,
            "parse": parse,
            "keepOctets": keep_serialized,
        }
        return NpmCollection(self._process, params)

    # ------------------------------------------------------------------ signed by a node of its own

    def sign_detached(self, purpose: SignaturePurpose, signer: Signer, plaintext: Octets) -> bytes:
        result = self._call("sign_detached", purpose=purpose, **_signer(signer), plaintext=plaintext)
        return b64decode(result["signature"])

    def make_registration_request(self, identity: Identity, authorization: bytes) -> bytes:
        result = self._call("make_registration_request", key=identity.handle, authorization=authorization)
        return b64decode(result["request"])


def _server(server: Server) -> Params:
    timeout_ms = None if server.timeout_seconds is None else server.timeout_seconds * 1000
    return {"host": server.host, "port": server.port, "timeoutMs": timeout_ms}


def _signer(signer: Signer) -> Params:
    return {"key": signer.identity.handle, "certificate": signer.certificate_der}


def _sealing(message: ServiceMessage | None, key: PublicSessionKey | None) -> Params | None:
    if message is None:
        return None
    if key is None:
        raise ValueError("A service message is encrypted to a session key")
    return {
        "type": message.type,
        "content": message.content,
        "sessionKey": {"keyId": key.key_id, "publicKey": key.public_key_der},
    }
