"""What the send path imports of `whatsapp` loads neither protobuf nor Noise: most starts are cold ones."""

import subprocess
import sys
from pathlib import Path

import pytest

import tocsin.whatsapp

LAYER = Path(tocsin.whatsapp.__path__[0]).parent.parent


@pytest.mark.parametrize("module", ["message", "receipts", "bundles", "usync", "iq", "notifications"])
def test_the_send_path_is_light(module: str) -> None:
    heavy = "[m for m in sys.modules if 'protobuf' in m or 'noise' in m]"
    code = f"import sys, tocsin.whatsapp.{module}; print({heavy})"
    env = {"PYTHONPATH": str(LAYER)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert found.stdout.strip() == "[]"


def test_receiving_loads_what_news_need_only_with_the_first_of_them() -> None:
    """Messages are most of what starts that function."""
    news = ["tocsin.multidevice.inbound.device_news", "tocsin.whatsapp.notifications"]
    code = f"import sys, tocsin.multidevice.inbound.dispatch; print([m for m in {news} if m in sys.modules])"
    env = {"PYTHONPATH": str(LAYER)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert found.stdout.strip() == "[]"
