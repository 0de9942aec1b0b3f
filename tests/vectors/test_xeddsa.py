"""Signatures by Curve25519 keys, of four implementations: all good ones verify, no damaged one does."""

from typing import Any

import pytest

from tests.vectors.folder import by_name, load, unhex
from tocsin.signal.curve import key_pair, sign, verify
from tocsin.signal.errors import BadSignature

VECTORS = load("xeddsa")


@pytest.mark.parametrize("case", VECTORS["cases"], ids=by_name)
def test_verify(case: dict[str, Any]) -> None:
    arguments = (unhex(case["public_key"]), unhex(case["message"]), unhex(case["signature"]))
    if case["valid"]:
        verify(*arguments)
    else:
        with pytest.raises(BadSignature):
            verify(*arguments)


@pytest.mark.parametrize("case", VECTORS["informative"], ids=by_name)
def test_what_lenient_verifiers_accept_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(BadSignature):
        verify(unhex(case["public_key"]), unhex(case["message"]), unhex(case["signature"]))


@pytest.mark.parametrize("case", VECTORS["sign_cases"], ids=by_name)
def test_sign(case: dict[str, Any]) -> None:
    private, message = unhex(case["private_key"]), unhex(case["message"])
    assert key_pair(private).public == unhex(case["public_key"])
    # Without random bytes it is another library's variant: ours to verify, not to make.
    if case["random"] is not None:
        assert sign(private, message, unhex(case["random"])) == unhex(case["signature"])
    verify(unhex(case["public_key"]), message, unhex(case["signature"]))
