"""Checks of a secure connect bundle that need no connection: its files, its certificates and their dates."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from cloud_analytics.untrusted import json_value

# The Python driver reads ca.crt, cert and key, the connector the two Java key stores.
MEMBERS = ("config.json", "ca.crt", "cert", "key", "identity.jks", "trustStore.jks")
_CONFIG = ("host", "port", "keyStorePassword", "trustStorePassword")
_NEW = "download a new one from the Astra console"


def problems(path: Path, now: datetime | None = None) -> list[str]:
    """Every problem of the bundle, with what to do; an empty list if both drivers can use it now."""
    if not path.is_file():
        return [f"{path} is no file: give the path of the bundle that the Astra console offers (Connect)"]
    try:
        with ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if name in MEMBERS}
    except (BadZipFile, OSError) as error:
        return [f"{path} is no zip archive ({error}): {_NEW}"]
    missing = [name for name in MEMBERS if name not in files]
    if missing:
        return [f"{path} lacks {', '.join(missing)}: {_NEW}, as it is, not unpacked and packed again"]
    return [
        f"{path}: {problem}: {_NEW}"
        for problem in (*_config_problems(files["config.json"]), *_key_problems(files, now))
    ]


def _config_problems(text: bytes) -> list[str]:
    try:
        config = json_value(text)
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
