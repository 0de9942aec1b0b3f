"""Baileys, unmodified from npm (`node/baileys-client.mjs`), as a test drives it."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Self

from tests.interop.driven_client import DrivenClient
from tests.support.stack import Notice

FOLDER = Path(__file__).parent / "node"


def missing() -> str | None:
    """Why Baileys can't run here, or None."""
    if shutil.which("node") is None:
        return "node is not on the PATH"
    if not (FOLDER / "node_modules" / "baileys").is_dir():
        return "Baileys is not installed: run `npm ci` in tests/interop/node (make test does)"
    return None


class Baileys(DrivenClient):
    @classmethod
    def start(cls, url: str, folder: Path, *, media_certificate: str = "", **options: Any) -> Self:
        """Returns before it is connected. `folder`: where it keeps its keys; a linked one logs in again with
        the same folder. `media_certificate`: the file with the certificate of the media hosts."""
        settings = json.dumps({"url": url, "folder": str(folder), **options})
        environment = os.environ | {"NODE_EXTRA_CA_CERTS": media_certificate}
        return cls(cls.launch(["node", "baileys-client.mjs", settings], FOLDER, environment))


def reads(baileys: Baileys, notice: Notice) -> str:
    """The text, once Baileys shows the message."""
    event = baileys.wait("message", lambda event: event["text"] is not None, id=notice.message_id)
    return str(event["text"])
