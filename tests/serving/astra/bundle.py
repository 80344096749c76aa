"""A secure connect bundle of the tests' own: an authority, a client certificate, and the files that AstraDB puts in."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path
from zipfile import ZipFile

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

HOST = "127.0.0.1"
PASSWORD = "only-for-tests"


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Authority:
    """Signs what the service and its clients show each other."""

    def __init__(self) -> None:
        self.identity = self._issue("test authority", None)

    def issue(self, name: str, ends: datetime | None = None) -> Identity:
        """A certificate for loopback, valid for a day, or until `ends`."""
        return self._issue(name, self.identity, ends)

    def _issue(self, name: str, signer: Identity | None, ends: datetime | None = None) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        names = [x509.IPAddress(ip_address(HOST)), x509.DNSName("localhost")]  # Java looks for the name of an address
        until = ends or datetime.now(timezone.utc) + timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(signer.certificate.subject if signer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(until - timedelta(days=2))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        return Identity(builder.sign(signer.key if signer else key, hashes.SHA256()), key)

    def server_context(self, folder: Path) -> ssl.SSLContext:
        """TLS of a server that asks every client for a certificate of this authority."""
        service = self.issue("test service")
        (folder / "service.pem").write_bytes(service.certificate_pem + service.key_pem)
        (folder / "authority.pem").write_bytes(self.identity.certificate_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "service.pem")
        context.load_verify_locations(folder / "authority.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def key_store(self, name: str, identity: Identity) -> bytes:
        """A Java key store with the identity and its authority."""
        encryption = BestAvailableEncryption(PASSWORD.encode())
        chain = [self.identity.certificate]
        return pkcs12.serialize_key_and_certificates(
            name.encode(), identity.key, identity.certificate, chain, encryption
        )

    def trust_store(self) -> bytes:
        """A Java trust store with the authority."""
        entry = pkcs12.PKCS12Certificate(self.identity.certificate, b"authority")
        return pkcs12.serialize_java_truststore([entry], BestAvailableEncryption(PASSWORD.encode()))


def members(authority: Authority, metadata_port: int, client: Identity | None = None) -> dict[str, bytes]:
    """The files of a bundle whose metadata service listens on this port of loopback."""
    client = client or authority.issue("test client")
    config = {
        "host": HOST,
        "port": metadata_port,
        "keyspace": "",
        "localDC": "datacenter1",
        "keyStoreLocation": "./identity.jks",
        "keyStorePassword": PASSWORD,
        "trustStoreLocation": "./trustStore.jks",
        "trustStorePassword": PASSWORD,
        "csvLocation": "./data",
    }
    return {
        "config.json": json.dumps(config).encode(),
        "ca.crt": authority.identity.certificate_pem,
        "cert": client.certificate_pem,
        "key": client.key_pem,
        "identity.jks": authority.key_store("cert", client),
        "trustStore.jks": authority.trust_store(),
        "cqlshrc": b"",
    }


def write(path: Path, files: dict[str, bytes]) -> Path:
    """The files as a zip archive."""
    with ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
