"""The local server's examples run as its README says."""

import json
import subprocess
from pathlib import Path

import pytest

import tocsin_whatsapp_server
from tests.interop.baileys_client import FOLDER, missing
from tocsin_whatsapp_server.control_client import LocalWhatsApp

pytestmark = [pytest.mark.interop, pytest.mark.skipif(missing() is not None, reason=missing() or "")]

EXAMPLES = Path(tocsin_whatsapp_server.__file__).parent / "examples"


def test_baileys(tmp_path: Path) -> None:
    (tmp_path / "baileys.mjs").write_text((EXAMPLES / "baileys.mjs").read_text())
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    with LocalWhatsApp.start() as whatsapp:
        line = json.dumps({"url": whatsapp.url, "control": whatsapp.control.url})
        ended = subprocess.run(
            ["node", "baileys.mjs", line], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
    assert ended.stdout.splitlines()[-2:] == ["Budi reads: Selamat pagi", "Siti reads: Pagi juga"], ended
