"""Java key stores: the authorities that a JVM trusts, and an identity of its own. PKCS12, which every Java reads."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12


def trust_store(pem: bytes, password: str) -> bytes:
    """A store that trusts the certificates of a PEM file; ValueError where one cannot be read."""
    return _trusting(x509.load_pem_x509_certificates(pem), password)


def identity(name: str, password: str) -> tuple[bytes, bytes]:
    """A store with a new key and its certificate, and a store that trusts this certificate alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    encryption = BestAvailableEncryption(password.encode())
    store = pkcs12.serialize_key_and_certificates(name.encode(), key, certificate, None, encryption)
    return store, _trusting([certificate], password)


def _trusting(certificates: list[x509.Certificate], password: str) -> bytes:
    entries = [pkcs12.PKCS12Certificate(one, f"ca-{n}".encode()) for n, one in enumerate(certificates)]
    return pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(password.encode()))
