"""Frames survive any cut of the stream."""

import pytest

from tocsin.whatsapp.frames import MAX_PAYLOAD, FrameSplitter, frame

FRAMES = [b"first", b"", b"x" * 300, b"last"]
WIRE = b"".join(map(frame, FRAMES))


@pytest.mark.parametrize("cut", range(len(WIRE) + 1))
def test_frames_survive_any_cut(cut: int) -> None:
    splitter = FrameSplitter()
    assert splitter.feed(WIRE[:cut]) + splitter.feed(WIRE[cut:]) == FRAMES


def test_frames_arrive_byte_by_byte() -> None:
    splitter = FrameSplitter()
    assert [one for byte in WIRE for one in splitter.feed(bytes((byte,)))] == FRAMES


def test_a_frame_has_a_largest_size() -> None:
    with pytest.raises(ValueError, match="frame"):
        frame(bytes(MAX_PAYLOAD + 1))
