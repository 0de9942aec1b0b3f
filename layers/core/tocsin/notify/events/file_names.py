"""How a file is called on the recipient's phone, whoever asks for it."""

from __future__ import annotations

from typing import Final

from tocsin.notify.texts.formatting import name, shortened

MAX_NAME_CHARACTERS: Final = 200


def fitted_file_name(told: str) -> str:
    """As told, on one line, without what could make one ending look like another; what is too long is cut
    before its ending."""
    file_name = name(told, len(told))
    stem, dot, ending = file_name.rpartition(".")
    room = MAX_NAME_CHARACTERS - len(dot + ending)
    if not dot or room < 1:
        return shortened(file_name, MAX_NAME_CHARACTERS)
    return shortened(stem, room) + dot + ending
