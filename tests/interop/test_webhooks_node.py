"""Outcome webhooks, verified by the library that receivers in Node use."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import Any

import pytest

from tests.interop.libsignal_peer import NODE
from tocsin.hooks.signing import headers

pytestmark = pytest.mark.interop

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "A" * 32
BODY = '{"type":"reply.received","data":{"text":"Café ☕ ünïcode"}}'


def verified(told: dict[str, str], body: str = BODY) -> dict[str, Any]:
    if not shutil.which("node") or not (NODE / "node_modules" / "standardwebhooks").exists():
        pytest.skip("needs Node, and `npm ci` in tests/interop/node")
    asked = json.dumps({"secret": SECRET, "headers": told, "body": body})
    run = subprocess.run(
        ["node", "verify-webhook.mjs"],
        cwd=NODE,
        input=asked.encode(),
        capture_output=True,
        timeout=60,
        check=True,
    )
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def signed(*secrets: str) -> dict[str, str]:
    return headers(secrets, "msg_1", int(time.time()), BODY.encode())


@pytest.mark.cell("standardwebhooks (npm)", "it verifies what is posted")
@pytest.mark.parametrize("secrets", [(SECRET,), (OTHER, SECRET)], ids=["one", "two"])
def test_what_we_sign_is_verified(secrets: tuple[str, ...]) -> None:
    assert verified(signed(*secrets)) == {"verified": json.loads(BODY)}


@pytest.mark.cell("standardwebhooks (npm)", "it refuses what another signed")
def test_twin_of_another_secret_or_body_is_refused() -> None:
    assert "refused" in verified(signed(OTHER))
    assert "refused" in verified(signed(SECRET), BODY.replace("Café", "Cafe"))
