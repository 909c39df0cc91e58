"""The certificate that the console and the API are served with: whether it can be used, and until when.

The files are PEM, as an authority hands them out: the certificate with its chain, and its private key without a
passphrase (nobody is there to type one after a power cut).
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

SOON = 21 * 86400.0
"""Seconds before its end at which somebody is told: authorities that renew by themselves do so 30 days before."""


class CertificateTrouble(Exception):
    """Why TLS cannot be served: `part` is "certificate" or "key", `kind` the last part of its message key."""

    def __init__(self, part: str, kind: str, file: Path) -> None:
        super().__init__(f"web.tls.{part}: {file}: {kind}")
        self.part, self.kind, self.file = part, kind, file


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server serves TLS with. Raises `CertificateTrouble`."""
    for part, file in (("certificate", certificate), ("key", key)):
        try:
            file.open("rb").close()
        except OSError as error:
            raise CertificateTrouble(
                part, "missing" if isinstance(error, FileNotFoundError) else "unreadable", file
            ) from error
    try:
        x509.load_pem_x509_certificates(certificate.read_bytes())
    except ValueError as error:
        raise CertificateTrouble("certificate", "no_certificate", certificate) from error
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(certificate, key, password=_no_passphrase)
    except _Passphrase as error:
        raise CertificateTrouble("key", "passphrase", key) from error
    except ssl.SSLError as error:
        kind = "other_key" if "MISMATCH" in (error.reason or "") else "no_key"
        raise CertificateTrouble("key", kind, key) from error
    return made


def ends(certificate: Path) -> float:
    """Until when the certificate is valid, UTC seconds since the epoch. Raises `OSError` or `ValueError`."""
    return x509.load_pem_x509_certificates(certificate.read_bytes())[0].not_valid_after_utc.timestamp()


def date(at: float) -> str:
    """The day of `at`, as certificates count: in UTC."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


class _Passphrase(Exception):
    """The key asks for one."""


def _no_passphrase() -> str:
    raise _Passphrase
