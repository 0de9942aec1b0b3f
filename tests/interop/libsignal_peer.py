"""libsignal-node, run as it is, behind a few methods. Needs `npm ci` in tests/interop/node."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tocsin.signal.curve import decode_point, encode_point
from tocsin.signal.session import Ciphertext
from tocsin.signal.x3dh import PreKeyBundle

NODE = Path(__file__).parent / "node"


class PeerFailed(Exception):
    """The library threw; the text is its own."""


class LibsignalPeer:
    """A device of the other library, in a process of its own."""

    def __init__(self) -> None:
        if not shutil.which("node") or not (NODE / "node_modules" / "libsignal").exists():
            pytest.skip("needs Node, and `npm ci` in tests/interop/node")
        self._process = subprocess.Popen(
            ["node", "libsignal-peer.mjs"],
            cwd=NODE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def close(self) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()

    def reset(self, *, copies: bool) -> None:
        """Become a new device without sessions. `copies`: try each of several sessions on a copy."""
        self._do("reset", copies=copies)

    def bundle(self, *, with_prekey: bool = True) -> PreKeyBundle:
        answer = self._do("bundle", prekey=with_prekey)
        prekey = answer.get("prekey")
        return PreKeyBundle(
            registration_id=answer["registration_id"],
            identity=decode_point(bytes.fromhex(answer["identity"])),
            signed_prekey_id=answer["signed_prekey_id"],
            signed_prekey=decode_point(bytes.fromhex(answer["signed_prekey"])),
            signed_prekey_signature=bytes.fromhex(answer["signed_prekey_signature"]),
            prekey_id=answer.get("prekey_id"),
            prekey=None if prekey is None else decode_point(bytes.fromhex(prekey)),
        )

    def start(self, bundle: PreKeyBundle) -> None:
        spec: dict[str, Any] = {
            "registration_id": bundle.registration_id,
            "identity": encode_point(bundle.identity).hex(),
            "signed_prekey_id": bundle.signed_prekey_id,
            "signed_prekey": encode_point(bundle.signed_prekey).hex(),
            "signed_prekey_signature": bundle.signed_prekey_signature.hex(),
        }
        if bundle.prekey is not None:
            spec |= {"prekey_id": bundle.prekey_id, "prekey": encode_point(bundle.prekey).hex()}
        self._do("init", bundle=spec)

    def say(self, text: str) -> Ciphertext:
        answer = self._do("encrypt", plaintext=text.encode().hex())
        return Ciphertext(answer["type"], bytes.fromhex(answer["body"]))

    def hear(self, message: Ciphertext) -> str:
        answer = self._do("decrypt", type=message.type, body=message.body.hex())
        return bytes.fromhex(answer["plaintext"]).decode()

    def _do(self, op: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise PeerFailed(f"{answer['error']}: {answer['reason']}")
        return answer
