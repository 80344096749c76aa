"""What Java must be told so that it reaches the network as pip and curl do: their proxy and their trusted roots.

A JVM reads neither HTTPS_PROXY nor SSL_CERT_FILE. Behind a proxy of a company, which signs with a root of its own, a
Java from PyPI would therefore fail where pip has just succeeded.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import struct
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
_TRUSTSTORE_PASSWORD = "changeit"  # noqa: S105  Java's own default; the store holds public certificates only


def proxy_options() -> list[str]:
    """`-D` options for the proxy of the environment (or of the macOS settings); none without a proxy.

    A user name or password in the proxy's URL is left out: arguments of a process can be read by everyone.
    """
    proxies = urllib.request.getproxies()
    url = proxies.get("https") or proxies.get("all") or proxies.get("http")
    if not url:
        return []
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if not parts.hostname:
        return []
    if parts.scheme.startswith("socks"):
        return [f"-DsocksProxyHost={parts.hostname}", f"-DsocksProxyPort={parts.port or 1080}"]
    options = [f"-Dhttps.proxyHost={parts.hostname}", f"-Dhttps.proxyPort={parts.port or 80}"]
    direct = [host.strip() for host in proxies.get("no", "").split(",") if host.strip()]
    if direct:
        patterns = ["*" + host if host.startswith(".") else host for host in direct]
        options.append("-Dhttp.nonProxyHosts=" + "|".join(patterns))
    return options


def trusted_bundle() -> Path | None:
    """The PEM file of trusted roots that the environment names, else the system's; None if Java's own must do."""
    if "javax.net.ssl.trustStore" in os.environ.get("JAVA_TOOL_OPTIONS", ""):
        return None
    named = [os.environ[name] for name in _BUNDLE_VARIABLES if os.environ.get(name)]
    return next((path for name in (*named, *_SYSTEM_BUNDLES) if (path := Path(name)).is_file()), None)


def truststore_options(bundle: Path, store: Path) -> list[str]:
    """Write the certificates of a PEM bundle as a Java key store, and return the options that make Java trust them."""
    store.write_bytes(_java_key_store(_certificates(bundle)))
    return [
        f"-Djavax.net.ssl.trustStore={store}",
        f"-Djavax.net.ssl.trustStorePassword={_TRUSTSTORE_PASSWORD}",
        "-Djavax.net.ssl.trustStoreType=JKS",
    ]


def _certificates(bundle: Path) -> list[bytes]:
    text = bundle.read_text(encoding="ascii", errors="ignore")
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", text, re.DOTALL)
    return [ssl.PEM_cert_to_DER_cert(block) for block in blocks]


def _java_key_store(certificates: list[bytes]) -> bytes:
    """The JKS format: every Java reads it, and it needs no keytool, which small runtimes lack."""

    def text(value: str) -> bytes:
        return struct.pack(">H", len(value)) + value.encode("ascii")

    body = struct.pack(">III", 0xFEEDFEED, 2, len(certificates))
    for number, certificate in enumerate(certificates):
        body += struct.pack(">I", 2) + text(f"ca-{number}") + struct.pack(">Q", 0)
        body += text("X.509") + struct.pack(">I", len(certificate)) + certificate
    # SHA-1 is part of the format (an integrity check, no protection).
    seal = hashlib.sha1(_TRUSTSTORE_PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body, usedforsecurity=False)
    return body + seal.digest()
