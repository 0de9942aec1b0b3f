"""Attribute values: as boto3 returns them, and as Lambda is handed them with a stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.streams import image_of
from tocsin.dynamo.attributes import from_attribute, from_item, to_attribute

SCALARS = st.text() | st.integers() | st.booleans() | st.binary() | st.frozensets(st.text(), min_size=1)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@given(VALUES)
def test_a_value_comes_back(value: object) -> None:
    assert from_attribute(to_attribute(value)) == value  # type: ignore[arg-type]


@given(VALUES)
def test_a_value_comes_back_by_a_stream(value: object) -> None:
    assert from_item(image_of({"value": value})) == {"value": value}


@pytest.mark.parametrize("text", ["not base64", "AAA", "AA==AA"])
def test_bytes_that_are_no_base64_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"base64|padding|discontinuous|excess|Only"):
        from_attribute({"B": text})
