"""whatsmeow, as compiled into neonize (`whatsmeow_driver.py`), as a test drives it."""

import json
import os
import platform
import sqlite3
import subprocess
import sys
from base64 import b64decode, b64encode
from contextlib import closing
from pathlib import Path
from typing import Self

from tests.interop.driven_client import DrivenClient
from tocsin_local.bootstrap import runs_whatsmeow
from tocsin_local.paths import WHATSMEOW
from tocsin_whatsapp_server.control_client import LocalWhatsApp

DRIVER = Path(__file__).with_name("whatsmeow_driver.py")
PYTHON = WHATSMEOW / "bin" / "python"


def missing() -> str | None:
    """Why whatsmeow can't run here, or None."""
    if not runs_whatsmeow():
        where = f"{sys.platform} {platform.machine()}"
        return f"whatsmeow is driven on Linux with glibc (x86_64, aarch64) only, not on {where}"
    if not PYTHON.exists():
        return "whatsmeow is not installed: make setup"
    return None


class WhatsMeow(DrivenClient):
    """It is away while its process is: it comes back in another, with the same folder."""

    def __init__(self, url: str, root_public_key: str, folder: Path, media_certificate: str) -> None:
        settings = {"url": url, "root_public_key": root_public_key, "folder": str(folder)}
        self._command = [str(PYTHON), str(DRIVER), json.dumps(settings)]
        self._folder = folder
        self._media_certificate = media_certificate
        super().__init__(self._start())

    def _start(self) -> subprocess.Popen[str]:
        # Go reads the variables for proxies; the server is on this machine.
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        environment["SSL_CERT_FILE"] = self._media_certificate
        return self.launch(self._command, self._folder, environment)

    @classmethod
    def start(cls, whatsapp: LocalWhatsApp, folder: Path) -> Self:
        """Returns before it is connected. `folder`: where it keeps its keys."""
        return cls(whatsapp.url, whatsapp.root_public_key, folder, whatsapp.media_certificate)

    def leave(self) -> None:
        self.stop()

    def come_back(self) -> None:
        self._attend(self._start())

    def corrupt_session(self, lid: str) -> None:
        user, _, device = lid.partition("@")[0].partition(":")
        database, name = self._folder / "whatsmeow.db", f"{user}_1:{device}"
        with closing(sqlite3.connect(database, timeout=10)) as connection, connection:
            [(record,)] = connection.execute(
                "SELECT session FROM whatsmeow_sessions WHERE their_id = ?", (name,)
            ).fetchall()
            connection.execute(
                "UPDATE whatsmeow_sessions SET session = ? WHERE their_id = ?", (garble(record), name)
            )


def garble(record: str | bytes) -> bytes:
    """Flip every bit of the secrets of a stored record; its form stays good."""
    stored = json.loads(record)
    for state in (stored["SessionState"], *(stored["PreviousStates"] or ())):
        state["RootKey"] = flipped(state["RootKey"])
        for chain in (state["SenderChain"], *(state["ReceiverChains"] or ())):
            if chain:
                chain["ChainKey"]["Key"] = flipped(chain["ChainKey"]["Key"])
                chain["MessageKeys"] = []
    return json.dumps(stored).encode()


def flipped(secret: str) -> str:
    return b64encode(bytes(byte ^ 0xFF for byte in b64decode(secret))).decode()
