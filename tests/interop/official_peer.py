"""The official libsignal, run as it is, behind a few methods. Needs `npm ci` in tests/interop/node.

Version 0.22.0 is the newest before post-quantum keys: what it speaks is what WhatsApp's clients speak.
"""

import shutil
import subprocess

import pytest

from tests.interop.libsignal_peer import NODE, LibsignalPeer
from tocsin.signal.curve import encode_point


class OfficialPeer(LibsignalPeer):
    """A device of the official library, in a process of its own.

    It tries each session on a copy of its own accord, and can lose sessions and get old ones back.
    """

    def __init__(self) -> None:
        library = NODE / "node_modules" / "@signalapp" / "libsignal-client"
        if not shutil.which("node") or not library.exists():
            pytest.skip("needs Node, and `npm ci` in tests/interop/node")
        self._process = subprocess.Popen(
            ["node", "official-peer.mjs"], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            self.reset()
        except ValueError:
            # No answer at all: the process ended, for it has no binary for this machine.
            self.close()
            pytest.skip("the official library does not run on this machine")

    def reset(self, *, copies: bool = True) -> None:
        """Become a new device without sessions."""
        self._do("reset")

    def archive(self) -> None:
        self._do("archive")

    def forget(self) -> None:
        """Lose all sessions."""
        self._do("forget")

    def snapshot(self) -> int:
        """Remember sessions and prekeys as they are; the number to restore them by."""
        number: int = self._do("snapshot")["snapshot"]
        return number

    def restore(self, snapshot: int) -> None:
        self._do("restore", snapshot=snapshot)

    def can_send(self) -> bool:
        return bool(self._do("can-send")["yes"])

    def sends_with(self, ratchet_public: bytes) -> bool:
        """Whether the current session sends under this ratchet key."""
        return bool(self._do("sends-with", key=encode_point(ratchet_public).hex())["yes"])
