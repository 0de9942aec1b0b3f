"""The server's certificate chain: root key, intermediate, leaf. What proves that the server is WhatsApp."""

from __future__ import annotations

import hmac
from typing import Final

from google.protobuf.message import DecodeError as ProtobufError

from tocsin.signal.curve import verify
from tocsin.signal.errors import SignalError
from tocsin.whatsapp.errors import InvalidCertificate
from tocsin.whatsapp.proto.handshake_pb2 import CertChain

ROOT_KEY: Final = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")
"""The production servers' root key. A local server has its own, set by configuration."""

Certificate = CertChain.NoiseCertificate
Details = CertChain.NoiseCertificate.Details


def verify_chain(payload: bytes, static_key: bytes, root_key: bytes, now: float) -> None:
    """Return if `payload` certifies `static_key` (32 bytes) at `now` (Unix seconds), under `root_key`.

    Raises `InvalidCertificate` otherwise. Signatures are checked over the bytes as they came.
    """
    try:
        chain = CertChain.FromString(payload)
        intermediate = _checked(chain.intermediate, root_key, "intermediate")
        leaf = _checked(chain.leaf, intermediate.key, "leaf")
    except ProtobufError as exc:
        raise InvalidCertificate("can't be read") from exc
    if intermediate.issuer_serial != 0:
        raise InvalidCertificate("the intermediate isn't issued by the root")
    if leaf.issuer_serial != intermediate.serial:
        raise InvalidCertificate("the leaf isn't issued by the intermediate")
    for name, details in (("intermediate", intermediate), ("leaf", leaf)):
        if not details.not_before <= now <= details.not_after:
            raise InvalidCertificate(f"{name} is not valid now")
    if not hmac.compare_digest(leaf.key, static_key):
        raise InvalidCertificate("the leaf certifies another key")


def _checked(certificate: Certificate, issuer_key: bytes, name: str) -> Details:
    """The details of a certificate whose signature by `issuer_key` holds."""
    if not certificate.details or len(certificate.signature) != 64:
        raise InvalidCertificate(f"{name} lacks its details or signature")
    try:
        verify(issuer_key, certificate.details, certificate.signature)
    except SignalError as exc:
        raise InvalidCertificate(f"the signature of the {name} is wrong") from exc
    details = Details.FromString(certificate.details)
    if len(details.key) != 32:
        raise InvalidCertificate(f"the key of the {name} has not 32 bytes")
    return details
