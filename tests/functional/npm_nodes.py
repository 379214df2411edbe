"""Nodes whose keys and certificates the published clients hold: a private gateway, an endpoint of it, and a sender."""

from dataclasses import dataclass
from typing import Self

from tests.functional.gateway_process import GatewayProcess
from tests.functional.npm_clients import Identity, MadeParcel, NpmClients, Registration, Server, Signer
from tests.functional.npm_values import HashName


def server_of(process: GatewayProcess) -> Server:
    return Server(port=process.ports.poweb)


@dataclass(frozen=True, kw_only=True)
class NpmNodes:
    """The private gateway is registered, and its endpoint lets the sender reach it."""

    npm: NpmClients
    registration: Registration
    private_gateway: Signer
    endpoint: Signer
    sender: Signer

    @classmethod
    def register(
        cls,
        npm: NpmClients,
        process: GatewayProcess,
        *,
        private_gateway: Identity | None = None,
        endpoint: Identity | None = None,
        sender: Identity | None = None,
    ) -> Self:
        """Identities that are not given are new. The library can sign as a private gateway with SHA-256 keys alone."""
        identity = private_gateway or npm.generate_identity()
        registration = npm.register(server_of(process), identity)
        gateway = Signer(identity=identity, certificate_der=registration.certificate_der)
        recipient = _certify(npm, "endpoint", endpoint or npm.generate_identity(), gateway)
        return cls(
            npm=npm,
            registration=registration,
            private_gateway=gateway,
            endpoint=recipient,
            sender=_certify(npm, "delivery-authorization", sender or npm.generate_identity(), recipient),
        )

    def make_parcel(
        self,
        payload_size: int = 500,
        *,
        parcel_id: str | None = None,
        ttl_seconds: int | None = None,
        creation_offset_seconds: float = 0,
        hash_name: HashName | None = None,
    ) -> MadeParcel:
        return self.npm.make_parcel(
            self.sender,
            self.endpoint.identity.node_id,
            payload_size=payload_size,
            chain=[self.endpoint.certificate_der, self.private_gateway.certificate_der],
            parcel_id=parcel_id,
            ttl_seconds=ttl_seconds,
            creation_offset_seconds=creation_offset_seconds,
            hash_name=hash_name,
        )


def _certify(npm: NpmClients, kind: str, subject: Identity, issuer: Signer) -> Signer:
    certificate_der = npm.issue_certificate(
        "endpoint" if kind == "endpoint" else "delivery-authorization",
        subject,
        issuer=issuer.identity,
        issuer_certificate_der=issuer.certificate_der,
    )
    return Signer(identity=subject, certificate_der=certificate_der)
