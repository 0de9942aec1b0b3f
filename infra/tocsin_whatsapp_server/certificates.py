"""The server's own authority: a root key kept in a file, and a certificate chain for each start.

A client that is given the root's public key checks this chain exactly as it checks the real service's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tocsin.signal.curve import KeyPair, key_pair, sign
from tocsin.whatsapp.proto.handshake_pb2 import CertChain

Random = Callable[[int], bytes]

DAY_SECONDS = 24 * 60 * 60
INTERMEDIATE_SERIAL = 1
LEAF_SERIAL = 2


class BadRootKeyFile(ValueError):
    """The root key file doesn't hold a key: 64 hex digits. Remove it, and a new one is made."""


def load_root_key(path: Path, random: Random = os.urandom) -> KeyPair:
    """The root key in `path`; made there on first use, readable by its owner alone. Raises BadRootKeyFile."""
    try:
        private = bytes.fromhex(path.read_text().strip())
        if len(private) != 32:
            raise ValueError("a private key has 32 bytes")
    except FileNotFoundError:
        return _make_root_key(path, random)
    except ValueError as error:
        raise BadRootKeyFile(
            f"{path} holds no root key (64 hex digits); remove it to get a new one"
        ) from error
    return key_pair(private)


def _make_root_key(path: Path, random: Random) -> KeyPair:
    key = key_pair(random(32))
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.private.hex() + "\n")
    return key


def certificate_chain(root: KeyPair, static_public: bytes, now: int, random: Random = os.urandom) -> bytes:
    """A serialised chain for `static_public`, valid from a day ago for a year. `now`: seconds."""
    intermediate = key_pair(random(32))
    chain = CertChain(
        intermediate=_certificate(
            root, intermediate.public, now, random, serial=INTERMEDIATE_SERIAL, issuer_serial=0
        ),
        leaf=_certificate(
            intermediate,
            static_public,
            now,
            random,
            serial=LEAF_SERIAL,
            issuer_serial=INTERMEDIATE_SERIAL,
        ),
    )
    return chain.SerializeToString()


def forged_chain(chain: bytes) -> bytes:
    """The same chain, with the leaf signed by nobody who may."""
    forged = CertChain.FromString(chain)
    forged.leaf.signature = bytes(64)
    return forged.SerializeToString()


def _certificate(
    issuer: KeyPair, key: bytes, now: int, random: Random, *, serial: int, issuer_serial: int
) -> CertChain.NoiseCertificate:
    details = CertChain.NoiseCertificate.Details(
        serial=serial,
        issuer_serial=issuer_serial,
        key=key,
        not_before=now - DAY_SECONDS,
        not_after=now + 365 * DAY_SECONDS,
    ).SerializeToString()
    signature = sign(issuer.private, details, random(64))
    return CertChain.NoiseCertificate(details=details, signature=signature)
