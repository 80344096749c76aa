"""Java gets the proxy and the trusted roots of the environment."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest

from cloud_analytics.runtime.java import find_java
from cloud_analytics.runtime.network import proxy_options, trusted_bundle, truststore_options


@pytest.fixture
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no", "ftp"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


@pytest.mark.usefixtures("_bare")
@pytest.mark.parametrize(
    ("variables", "options"),
    [
        ({}, []),
        ({"HTTPS_PROXY": "http://proxy:3128"}, ["-Dhttps.proxyHost=proxy", "-Dhttps.proxyPort=3128"]),
        ({"HTTPS_PROXY": "http://me:secret@proxy:80"}, ["-Dhttps.proxyHost=proxy", "-Dhttps.proxyPort=80"]),
        ({"ALL_PROXY": "socks5://proxy:1080"}, ["-DsocksProxyHost=proxy", "-DsocksProxyPort=1080"]),
        (
            {"HTTPS_PROXY": "proxy:1", "NO_PROXY": "localhost, .corp"},
            ["-Dhttps.proxyHost=proxy", "-Dhttps.proxyPort=1", "-Dhttp.nonProxyHosts=localhost|*.corp"],
        ),
    ],
)
def test_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: list[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_options() == options


def test_the_bundle_that_pip_uses_is_the_one_java_gets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "roots.pem"
    bundle.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.delenv("JAVA_TOOL_OPTIONS", raising=False)
    assert trusted_bundle() == bundle
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Djavax.net.ssl.trustStore=/x")
    assert trusted_bundle() is None


def test_java_reads_the_key_store_that_python_wrote(tmp_path: Path) -> None:
    java, system = find_java(), trusted_bundle()
    if java is None or system is None or not (java.home / "bin" / "keytool").exists():
        pytest.skip("needs a Java with keytool and a bundle of roots")
    blocks = system.read_text(encoding="ascii", errors="ignore").split("-----END CERTIFICATE-----")[:3]
    (tmp_path / "some.pem").write_text("".join(f"{block}-----END CERTIFICATE-----\n" for block in blocks))
    store = tmp_path / "with blank" / "trust.jks"
    store.parent.mkdir()
    options = truststore_options(tmp_path / "some.pem", store)
    assert f"-Djavax.net.ssl.trustStore={store}" in options
    listed = subprocess.run(
        [str(java.home / "bin" / "keytool"), "-list", "-rfc", "-keystore", str(store), "-storepass", "changeit"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    certificate = blocks[0][blocks[0].index("-----BEGIN") :] + "-----END CERTIFICATE-----\n"
    expected = ssl.DER_cert_to_PEM_cert(ssl.PEM_cert_to_DER_cert(certificate)).replace("\n", "")
    assert listed.count("BEGIN CERTIFICATE") == 3
    assert expected.removeprefix("-----BEGIN CERTIFICATE-----")[:60] in listed.replace("\n", "")
