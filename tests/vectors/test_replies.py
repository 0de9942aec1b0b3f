"""What people write, as Baileys encodes it: each kind with what is told of it, and edits that are sealed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vectors.folder import by_name, load, unhex
from tocsin.whatsapp.content import content_of, parse_plaintext
from tocsin.whatsapp.message_secret import open_edit

VECTORS = load("replies")
NAMES = ("1234@lid", "6281234567890@s.whatsapp.net")


@pytest.mark.parametrize("case", VECTORS["kinds"], ids=by_name)
def test_kind_words_quote_and_details_are_read(case: dict[str, Any]) -> None:
    content = content_of(parse_plaintext(unhex(case["message"])))
    assert content.is_reply
    assert (content.kind, content.text, content.quoted_id, content.details) == (
        case["kind"],
        case["text"],
        case["quoted"],
        case["details"],
    )


@pytest.mark.parametrize("case", VECTORS["sealed_edits"], ids=by_name)
def test_a_sealed_edit_is_opened_by_the_secret_of_what_it_changes(case: dict[str, Any]) -> None:
    sealed = content_of(parse_plaintext(unhex(case["message"]))).sealed
    assert sealed is not None
    edit = case["task"]["sealed_edit"]
    plain = open_edit(sealed, unhex(edit["secret"]), NAMES)
    assert plain is not None
    content = content_of(parse_plaintext(plain))
    assert (content.kind, content.text, content.target_id) == ("edit", case["text"], edit["id"])


@pytest.mark.parametrize("case", VECTORS["sealed_edits"], ids=by_name)
def test_nothing_else_opens_it(case: dict[str, Any]) -> None:
    sealed = content_of(parse_plaintext(unhex(case["message"]))).sealed
    assert sealed is not None
    secret = unhex(case["task"]["sealed_edit"]["secret"])
    assert open_edit(sealed, bytes(32), NAMES) is None
    assert open_edit(sealed, secret, ("4321@lid",)) is None
    assert open_edit(sealed, secret, ()) is None
