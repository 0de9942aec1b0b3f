"""Numbers and groups as callers write them."""

from __future__ import annotations

import pytest

from tocsin.door.answer import Refused
from tocsin.door.written import Address, address_of


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("6281234567890", Address("+6281234567890")),
        ("+62 812-3456-7890", Address("+6281234567890")),
        ("(+62) 812 3456 7890", Address("+6281234567890")),
        ("5511999999999", Address("+5511999999999")),
        (6281234567890, Address("+6281234567890")),
        ("081234567890", Address("081234567890")),
        ("0061 2 1234 7777", Address("0061 2 1234 7777")),
        ("6281234567890@c.us", Address("+6281234567890")),
        ("6281234567890@s.whatsapp.net", Address("+6281234567890")),
        ("6281234567890:12@s.whatsapp.net", Address("+6281234567890")),
        ("120363000000000000@g.us", Address(group="120363000000000000@g.us")),
        ("120363000000000000", Address(group="120363000000000000@g.us")),
        ("6281234567890-1600000000", Address(group="6281234567890-1600000000@g.us")),
    ],
)
def test_each_form_becomes_what_the_schema_knows(written: object, read: Address) -> None:
    assert address_of(written, "number") == read


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        "  ",
        True,
        [],
        {"phone": "1"},
        "Siti",
        "1234@lid",
        "120363@newsletter",
        "status@broadcast",
        "@g.us",
        "x@g.us",
        "62812\u0663\u0664\u0665",
        "6" * 200,
        "@c.us",
    ],
)
def test_what_names_nobody_is_refused_with_the_field(written: object) -> None:
    with pytest.raises(Refused) as refused:
        address_of(written, "to[3]")
    assert refused.value.status == 400
    assert refused.value.violations[0].startswith("to[3]: ")
