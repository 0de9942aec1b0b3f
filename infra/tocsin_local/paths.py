"""The folders of the project and of its set-up. No syntax newer than Python 3.7's (`bootstrap`)."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
TOOLS = ROOT / ".tools"
SAM = TOOLS / "sam"
EMULATOR = TOOLS / "emulator"
NODE = TOOLS / "node"
WHATSMEOW = TOOLS / "whatsmeow"
DEPLOYED = TOOLS / "deployed"
DOCS = TOOLS / "docs"
CHROMIUM = TOOLS / "chromium"
TOOLS_BIN = TOOLS / "bin"
RUNS = ROOT / ".run"
REQUIREMENTS = ROOT / "requirements"
CLIENTS = ROOT / "tests" / "interop" / "node"
