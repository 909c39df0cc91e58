"""The console for others than this machine: with a certificate that is good, wrong, or soon over."""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from program import Program

pytestmark = pytest.mark.e2e

CONFIG = """\
site: {{id: yard, language: en}}
web: {{port: {port}, tls: {{certificate: tls/cert.pem, key: tls/key.pem}}}}
plugins:
  simulator:
"""


def write_certificate(folder: Path, *, days: int = 90, passphrase: bytes | None = None) -> None:
    """A certificate of our own for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "menwei test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1000))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    lock: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        lock = serialization.BestAvailableEncryption(passphrase)
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    )


@pytest.fixture
def program(tmp_path: Path, unused_tcp_port: int) -> Program:
    return Program(tmp_path, CONFIG.format(port=unused_tcp_port))


async def test_the_console_is_served_with_the_sites_certificate_and_cookies_for_tls_alone(
    program: Program,
) -> None:
    tls = program.folder / "tls"
    write_certificate(tls)
    assert "fine" in await program("check")
    trusting = ssl.create_default_context(cafile=str(tls / "cert.pem"))
    jar = aiohttp.CookieJar(unsafe=True)  # an address is no name, and would have no cookies else
    async with program.running() as site, aiohttp.ClientSession(cookie_jar=jar) as browser:
        url = site.url
        assert url.startswith("https://127.0.0.1:")
        admin = {"name": "admin", "password": site.password}
        async with browser.post(f"{url}/api/login", json=admin, ssl=trusting) as answer:
            assert answer.status == 200
            assert "max-age" in answer.headers["Strict-Transport-Security"]
            (cookie,) = answer.cookies.values()
            assert cookie.key.startswith("__Host-")
            assert cookie["secure"]
            assert cookie["httponly"]
        async with browser.get(f"{url}/api/me", ssl=trusting) as answer:
            assert (await answer.json())["name"] == "admin"
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await browser.get(f"{url}/api/me")
        with pytest.raises(aiohttp.ClientError):
            await browser.get(f"http{url[5:]}/api/me")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(tls / "cert.pem")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            old.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await browser.get(f"{url}/api/me", ssl=old)
        assert "certificate" not in await program.said("doctor")


async def test_a_certificate_that_cannot_be_used_leaves_the_doors_served_and_the_console_to_this_machine(
    program: Program,
) -> None:
    assert "config.yaml:2:" in (text := await program.said("check", code=1))
    assert "There is no file" in text
    async with program.running() as site, aiohttp.ClientSession() as browser:
        assert site.url.startswith("http://127.0.0.1:")
        async with browser.get(f"{site.url}/api/me") as answer:
            assert answer.status < 500
        told = await program.said("doctor", code=1)
    assert "There is no file" in told
    assert "this machine only" in told


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda tls: write_certificate(tls, passphrase=b"secret"), "has a passphrase"),
        (
            lambda tls: (
                write_certificate(tls),
                (tls / "key.pem").rename(tls.parent / "old.pem"),
                write_certificate(tls),
                (tls.parent / "old.pem").rename(tls / "key.pem"),
            ),
            "does not belong to the certificate",
        ),
        (
            lambda tls: (write_certificate(tls), (tls / "key.pem").write_text("hello")),
            "no usable private key",
        ),
        (lambda tls: (write_certificate(tls), (tls / "cert.pem").write_text("hello")), "no certificate"),
    ],
    ids=["passphrase", "another key", "no key", "no certificate"],
)
async def test_what_is_wrong_with_a_certificate_is_said_in_a_sentence(
    program: Program, spoil, sentence: str
) -> None:
    spoil(program.folder / "tls")
    assert sentence in await program.said("check", code=1)


@pytest.mark.parametrize(("days", "sentence"), [(-1, "ended on"), (5, "ends on")])
async def test_a_certificate_that_is_over_or_nearly_is_told(
    program: Program, days: int, sentence: str
) -> None:
    write_certificate(program.folder / "tls", days=days)
    async with program.running() as site:
        assert site.url.startswith("https://")
        assert sentence in await program("doctor", code=None)
