"""The console for others than this machine: with a certificate that is good, wrong, or soon over."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import ssl
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

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
def site(tmp_path: Path, unused_tcp_port: int) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG.format(port=unused_tcp_port), "utf-8")
    return tmp_path


async def menwei(site: Path, *words: str) -> asyncio.subprocess.Process:
    environment = os.environ | {
        "MENWEI_LANG": "en",
        "MENWEI_CONFIG": str(site / "config.yaml"),
        "COLUMNS": "300",
    }
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "menwei", *words, cwd=site, env=environment, stdout=pipe, stderr=pipe
    )


async def said(site: Path, *words: str, code: int = 0) -> str:
    process = await menwei(site, *words)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode == code, (out + err).decode()
    return (out + err).decode()


@asynccontextmanager
async def running(site: Path) -> AsyncIterator[tuple[str, str]]:
    """The service: the address it says it is reached at, and the admin's first password."""
    process = await menwei(site, "run")
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            line = (await process.stdout.readline()).decode()
        assert "is running" in line, line + (await process.stderr.read()).decode()
        async with asyncio.timeout(60):
            second = (await process.stdout.readline()).decode()
        password = re.search(r"password (\S+)", second)
        assert password, second
        yield next(word for word in line.split() if word.startswith("http")).rstrip(".,"), password[1]
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            await process.communicate()


async def test_the_console_is_served_with_the_sites_certificate_and_cookies_for_tls_alone(
    site: Path,
) -> None:
    write_certificate(site / "tls")
    assert "fine" in await said(site, "check")
    trusting = ssl.create_default_context(cafile=str(site / "tls" / "cert.pem"))
    jar = aiohttp.CookieJar(unsafe=True)  # an address is no name, and would have no cookies else
    async with running(site) as (url, password), aiohttp.ClientSession(cookie_jar=jar) as browser:
        assert url.startswith("https://127.0.0.1:")
        admin = {"name": "admin", "password": password}
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
        old.load_verify_locations(site / "tls" / "cert.pem")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            old.options |= ssl.OP_NO_TLSv1_2 | ssl.OP_NO_TLSv1_3
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await browser.get(f"{url}/api/me", ssl=old)
        assert "certificate" not in await said(site, "doctor")


async def test_a_certificate_that_cannot_be_used_leaves_the_doors_served_and_the_console_to_this_machine(
    site: Path,
) -> None:
    assert "config.yaml:2:" in (text := await said(site, "check", code=1))
    assert "There is no file" in text
    async with running(site) as (url, _), aiohttp.ClientSession() as browser:
        assert url.startswith("http://127.0.0.1:")
        async with browser.get(f"{url}/api/me") as answer:
            assert answer.status < 500
        told = await said(site, "doctor", code=1)
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
    site: Path, spoil, sentence: str
) -> None:
    spoil(site / "tls")
    assert sentence in await said(site, "check", code=1)


@pytest.mark.parametrize(("days", "sentence"), [(-1, "ended on"), (5, "ends on")])
async def test_a_certificate_that_is_over_or_nearly_is_told(site: Path, days: int, sentence: str) -> None:
    write_certificate(site / "tls", days=days)
    async with running(site) as (url, _):
        assert url.startswith("https://")
        process = await menwei(site, "doctor")
        out, _ = await process.communicate()
    assert sentence in out.decode()
