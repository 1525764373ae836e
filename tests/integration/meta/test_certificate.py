"""TLS: the certificate is always checked, and another one is trusted only by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.errors import FixConfiguration
from connectors.meta.client import GraphClient
from tests.integration.meta.wire import Wire, answer
from tests.unit.connectors.meta.rows import account

OK = answer('{"id": "111"}')


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for loopback, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "server.pem", folder / "server.key"
    public.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return public, private


def test_a_named_certificate_is_trusted(certificate: tuple[Path, Path]) -> None:
    with (
        Wire([OK], certificate) as server,
        GraphClient(account(server.url, certificate=certificate[0])) as client,
    ):
        assert client.get("Meta dataset 111", "111") == {"id": "111"}


def test_a_named_certificate_wins_over_the_environment(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
    with (
        Wire([OK], certificate) as server,
        GraphClient(account(server.url, certificate=certificate[0])) as client,
    ):
        assert client.get("Meta dataset 111", "111") == {"id": "111"}


def test_an_unknown_certificate_is_refused(certificate: tuple[Path, Path]) -> None:
    with (
        Wire([OK], certificate) as server,
        GraphClient(account(server.url)) as client,
        pytest.raises(FixConfiguration, match="not trusted"),
    ):
        client.post("Meta dataset 111", "111/events", {"data": "[]"})
    assert server.seen == []


def test_plain_text_behind_https_is_a_setting() -> None:
    with (
        Wire([OK]) as server,
        GraphClient(account(server.url.replace("http://", "https://"))) as client,
        pytest.raises(FixConfiguration, match="TLS"),
    ):
        client.get("Meta dataset 111", "111")
