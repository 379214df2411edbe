"""The certificate of a TLS server called localhost; only who is given it trusts it."""

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests import factories


@dataclass(frozen=True, kw_only=True)
class ServerCertificate:
    """Both files are in PEM."""

    certificate_file: Path
    key_file: Path


def write_server_certificate(folder: Path, *, ip_addresses: tuple[str, ...] = ()) -> ServerCertificate:
    """It names the server by these IP addresses as well."""
    names = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(each)) for each in ip_addresses)]
    key = factories.rsa_key("localhost")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(factories.NOT_BEFORE)
        .not_valid_after(factories.NOT_BEFORE + timedelta(days=10_000))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    written = ServerCertificate(certificate_file=folder / "localhost.pem", key_file=folder / "localhost-key.pem")
    written.certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    written.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return written
