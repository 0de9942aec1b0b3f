"""Every node frame of the vectors: read, written byte for byte, or refused."""

from dataclasses import replace
from typing import Any

import pytest

from tests.vectors.wire_files import load, spec_bytes, spec_node
from tocsin.whatsapp.decoder import decode
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.errors import DecodeError, EncodeError
from tocsin.whatsapp.node import Node

VALID = load("nodes")["cases"]
MALFORMED = load("nodes-malformed")
by_name = {"ids": lambda case: case["name"]}


def without_absent(node: Node) -> Node:
    """What a reader sees: no attributes written as "not there", no children for an empty list."""
    attrs = {name: value for name, value in node.attrs.items() if value is not None}
    children = tuple(map(without_absent, node.content)) if isinstance(node.content, tuple) else node.content
    children = None if children == () else children
    return replace(node, attrs=attrs, content=children)


@pytest.mark.parametrize("case", [case for case in VALID if case["direction"] != "encode"], **by_name)
def test_frame_decodes_to_its_node(case: dict[str, Any]) -> None:
    expected = without_absent(spec_node(case["node"]))
    assert decode(spec_bytes(case)) == expected
    for other in case.get("alternates", []):
        assert decode(spec_bytes(other)) == expected


@pytest.mark.parametrize("case", [case for case in VALID if case["direction"] != "decode"], **by_name)
def test_node_encodes_to_its_frame(case: dict[str, Any]) -> None:
    assert encode(spec_node(case["node"])).hex() == spec_bytes(case).hex()


@pytest.mark.parametrize("case", MALFORMED["cases"], **by_name)
def test_malformed_frame_is_refused(case: dict[str, Any]) -> None:
    frame = spec_bytes(case)
    with pytest.raises(DecodeError):
        decode(frame)


@pytest.mark.parametrize("case", MALFORMED["encodeRejects"], **by_name)
def test_unwritable_node_is_refused(case: dict[str, Any]) -> None:
    node = spec_node(case["node"])
    with pytest.raises(EncodeError):
        encode(node)


@pytest.mark.parametrize(
    "case", [c for c in VALID if c["direction"] == "both" and len(spec_bytes(c)) < 2000], **by_name
)
def test_every_cut_of_a_frame_is_refused(case: dict[str, Any]) -> None:
    frame = spec_bytes(case)
    for end in range(len(frame)):
        with pytest.raises(DecodeError):
            decode(frame[:end])
