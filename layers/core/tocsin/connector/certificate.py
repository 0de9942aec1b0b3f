"""A self-signed certificate, made at the start. Callers of the connector trust it through the lease alone."""

from __future__ import annotations

import datetime
import ipaddress
import secrets
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = datetime.timedelta(days=5 * 365)
"""Longer than any task lives; the certificate dies with its process and is replaced in the lease."""

SKEW = datetime.timedelta(days=1)
"""How far a Lambda's clock may be behind."""


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate (`pem`) and its key, kept encrypted under a password of this process."""

    pem: str
    _key: bytes = field(repr=False)
    _password: bytes = field(repr=False)

    def server_context(self) -> ssl.SSLContext:
        """A TLS 1.2+ server context that shows this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # load_cert_chain takes only files; the key in it is encrypted and the file is gone at once.
        with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
            chain = Path(folder, "chain.pem")
            chain.write_bytes(self._key + self.pem.encode())
            context.load_cert_chain(chain, password=self._password)
        return context


def make_certificate(address: str, now: datetime.datetime) -> Certificate:
    """A new EC P-256 certificate for one IP `address`, its subject alternative name.

    It is marked as an authority and carries both key identifiers because Python 3.13 verifies strictly
    (RFC 5280) by default.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tocsin connector")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(_key_usage(), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False)
        .sign(key, hashes.SHA256())
    )
    password = secrets.token_hex(32).encode()
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )
    return Certificate(certificate.public_bytes(serialization.Encoding.PEM).decode(), encrypted, password)


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
