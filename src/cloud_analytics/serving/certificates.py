"""Certificates: checks of a secure connect bundle, and key stores for a JVM (PKCS12, which every Java reads)."""

from __future__ import annotations

import re
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, load_pem_private_key, pkcs12

from cloud_analytics.untrusted import json_value, printable

# The Python driver reads ca.crt, cert and key. The connector reads the two Java key stores.
MEMBERS = ("config.json", "ca.crt", "cert", "key", "identity.jks", "trustStore.jks")
_CONFIG = ("host", "port", "keyStorePassword", "trustStorePassword")
_LARGEST = 2**20  # bytes, for the archive and for its unpacked files; a real bundle has about 20 KB
_KINDS = {ZIP_STORED, ZIP_DEFLATED}
_MEMBER = re.compile(r"[\w. -]{1,100}")
_TOO_MUCH = f"more than {_LARGEST >> 20} MiB or is packed otherwise, and is no bundle"
_NEW = "download a new one from the Astra console"


def bundle_problems(path: Path, now: datetime | None = None) -> list[str]:
    """Every problem of a secure connect bundle, each with its remedy. An empty list if both drivers can use it now."""
    if not path.is_file():
        return [f"{path} is no file: give the path of the bundle that the Astra console offers (Connect)"]
    try:
        files = _members(path)
    except (BadZipFile, EOFError, OSError, RuntimeError, zlib.error) as error:  # RuntimeError: it is encrypted
        return [f"{path} is no zip archive ({error}): {_NEW}"]
    if isinstance(files, str):
        return [f"{path} holds {files}: {_NEW}"]
    missing = [name for name in MEMBERS if name not in files]
    if missing:
        return [f"{path} lacks {', '.join(missing)}: {_NEW}, as it is, not unpacked and packed again"]
    return [
        f"{path}: {problem}: {_NEW}"
        for problem in (*_config_problems(files["config.json"]), *_key_problems(files, now))
    ]


def _members(path: Path) -> dict[str, bytes] | str:
    """The files that both drivers read, or what the archive holds that no bundle does, in words.

    The sizes noted in an archive may be false. For the methods in `_KINDS` Python unpacks no more bytes than requested.
    """
    if path.stat().st_size > _LARGEST:
        return _TOO_MUCH
    with ZipFile(path) as archive:
        found = archive.infolist()  # the Python driver unpacks them all
        strange = next((info.filename for info in found if not _MEMBER.fullmatch(info.filename)), None)
        if strange is not None:
            return f"{printable(strange[:80])}, which no bundle does"
        if sum(info.file_size for info in found) > _LARGEST or {info.compress_type for info in found} - _KINDS:
            return _TOO_MUCH
        files = {}
        for name in set(MEMBERS).intersection(archive.namelist()):
            with archive.open(name) as member:
                files[name] = member.read(_LARGEST)
        return files


def _config_problems(text: bytes) -> list[str]:
    try:
        config = json_value(text.decode("utf-8"))  # bytes may be UTF-16, which the drivers do not read
    except ValueError:
        return ["config.json is no JSON"]
    lacking = [name for name in _CONFIG if not (isinstance(config, dict) and config.get(name))]
    return [f"config.json lacks {', '.join(lacking)}"] if lacking else []


def _key_problems(files: dict[str, bytes], now: datetime | None) -> list[str]:
    moment = now or datetime.now(timezone.utc)
    found = []
    certificates = {}
    for name in ("ca.crt", "cert"):
        try:
            certificates[name] = x509.load_pem_x509_certificates(files[name])[0]
        except ValueError:
            found.append(f"{name} holds no certificate")
            continue
        ends, begins = certificates[name].not_valid_after_utc, certificates[name].not_valid_before_utc
        if ends <= moment:
            found.append(f"the certificate {name} expired on {ends:%Y-%m-%d}")
        elif begins > moment:
            found.append(f"the certificate {name} is not valid before {begins:%Y-%m-%d} (is the clock right?)")
    try:
        public = load_pem_private_key(files["key"], password=None).public_key()
    except (ValueError, TypeError):
        return [*found, "key holds no private key"]
    if "cert" in certificates and certificates["cert"].public_key() != public:
        found.append("key is not the key of cert")
    return found


def trust_store(pem: bytes, password: str) -> bytes:
    """A Java trust store (PKCS12) with the certificates of a PEM file. ValueError if one cannot be read."""
    return _trusting(x509.load_pem_x509_certificates(pem), password)


class Identity(NamedTuple):
    """A new private key with its self-signed certificate."""

    store: bytes  # Java key store with the key
    trust: bytes  # Java trust store with this certificate alone
    certificate: bytes  # the certificate as PEM


def identity(name: str, password: str) -> Identity:
    """Create a key and its self-signed certificate, as Java key stores and as PEM for clients."""
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
    return Identity(store, _trusting([certificate], password), certificate.public_bytes(Encoding.PEM))


def _trusting(certificates: list[x509.Certificate], password: str) -> bytes:
    entries = [pkcs12.PKCS12Certificate(one, f"ca-{n}".encode()) for n, one in enumerate(certificates)]
    return pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(password.encode()))
