"""Each FindInMap of the templates finds something, whatever parameters and conditions are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.templates import TEMPLATES, UnknownKey, possible, template, written

LOOKUPS = [
    pytest.param(name, {function: argument}, id=f"{name}-{argument[0]}")
    for name in TEMPLATES
    for function, argument in written(template(name))
    if function == "Fn::FindInMap"
]


def test_there_are_some() -> None:
    assert len(LOOKUPS) >= 3


@pytest.mark.parametrize(("name", "lookup"), LOOKUPS)
def test_every_lookup_has_its_key(name: str, lookup: dict[str, Any]) -> None:
    assert possible(lookup, name)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "256",
        {"Fn::If": ["WatchMemory", {"Ref": "ConnectorMemory"}, ""]},
        {"Ref": "AlarmTopicArn"},
    ],
)
def test_a_key_that_may_be_empty_or_unknown_is_found_out(key: object) -> None:
    with pytest.raises(UnknownKey):
        possible({"Fn::FindInMap": ["LittleRoom", key, "Bytes"]}, "infra/observability.yaml")
