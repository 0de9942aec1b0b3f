"""WhatsApp's formatting, and keeping other people's words from using it.

    *bold*   _italic_   ~struck~   `code`   ```block```   "- " and "* " lists   "> " quotes

WhatsApp knows no escape character. What a ticket says is therefore shown with look-alikes where a character
could format, without characters that steer the direction or the layout of what follows, and never at any
length.

Phones make a link of whatever looks like one, and whoever opens a ticket may write one into it. Where that
shall not be, links are shown with look-alikes as well (`unclickable`).
"""

from __future__ import annotations

import re
import unicodedata

_LOOK_ALIKES = str.maketrans({"*": "\u2217", "~": "\u223c", "`": "\u02cb"})

# An underscore inside a word (file_name) formats nothing and stays.
_EDGE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_WIDE_UNDERSCORE = "\uff3f"

_LINE_STARTS = {"-": "\u2013", ">": "\u203a"}
_LINE_START = re.compile(r"^(\s*)([->])(?=\s|$)")

# Marks that turn the reading direction of all that follows, and the byte order mark.
_STEERING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_LINE_BREAKS = re.compile("\r\n|[\r\n\v\f\u0085\u2028\u2029]")

ELLIPSIS = "…"

_JOINER = "\u200d"
_JOINS_ON = re.compile("[\u200d\u1160-\u11ff\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_FLAG_LETTER = re.compile("[\U0001f1e6-\U0001f1ff]")

_MAX_CHARACTER = 32
"""Code points of what is shown as one character. Beyond them somebody piled up marks, and may be cut."""


def line(text: str, most: int) -> str:
    """Foreign text on one line of at most `most` characters, formatting nothing."""
    return shortened(_harmless(" ".join(_readable(text).split())), most)


def paragraph(text: str, most: int, lines: int) -> str:
    """Foreign text on at most `lines` lines and `most` characters, without empty lines, formatting
    nothing."""
    whole = [" ".join(one.split()) for one in _readable(text).split("\n")]
    filled = [_harmless(one) for one in whole if one]
    kept = "\n".join(filled[:lines])
    if len(filled) > lines:
        kept += ELLIPSIS
    return shortened(kept, most)


def free(text: str, most: int) -> str:
    """Words that are sent as they were written, formatting included: without characters that steer, without
    blanks around them, in at most `most` characters."""
    lines = "\n".join(one.rstrip() for one in _readable(text).split("\n"))
    return shortened(lines.strip(), most)


def name(text: str, most: int) -> str:
    """Foreign text where nothing formats, as the name of a file: on one line, steering nothing."""
    return shortened(" ".join(_readable(text).split()), most)


def link(url: str) -> str:
    """A URL that means the same and formats nothing. `url`: printable ASCII, as the schema asks."""
    return url.replace("*", "%2A").replace("~", "%7E").replace("`", "%60")


# Phones look for a scheme, for "//", for a full stop within a word, and for numbers with dots.
_SCHEME = re.compile(r"(?<=[A-Za-z]):(?=\S)|(?<=[0-9+.-]):(?=[^\s\d])|:(?=//)")
_SLASHES = re.compile(r"//(?=\S)")
_INNER_DOT = re.compile(
    r"(?<=\S)[.\uff0e\uff61](?=[.\uff0e\uff61]*[^\s.\uff0e\uff61])|(?<=\w)\u3002(?=[A-Za-z0-9])"
)
# With three dots it may be an IP address, or hold one.
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.]\d+){1,2}(?![\w.@/:-])")
_COLON, _SLASH, _DOT = "\u2236", "\u2215", "\u2024"


def unclickable(text: str) -> str:
    """The same words, of which no phone makes a link: a colon, slashes and full stops that a link needs are
    replaced by look-alikes, sign for sign. Prices and times stay; so do phone numbers."""
    kept = [found.span() for found in _NUMBER.finditer(text)]
    dotted = _INNER_DOT.sub(lambda dot: dot[0] if _within(dot.start(), kept) else _DOT, text)
    return _SLASHES.sub(_SLASH * 2, _SCHEME.sub(_COLON, dotted))


def _within(place: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)


def quote(text: str) -> str:
    """As a block quote, line by line. `text` was made harmless before."""
    return "\n".join(f"> {one}" for one in text.split("\n")) if text else ""


def _readable(text: str) -> str:
    """Line breaks as "\\n"; no other control characters, nothing that steers."""
    broken = _LINE_BREAKS.sub("\n", _STEERING.sub("", text))
    return "".join(char if char in "\n\t" or unicodedata.category(char) != "Cc" else " " for char in broken)


def _harmless(one_line: str) -> str:
    alike = _EDGE_UNDERSCORE.sub(_WIDE_UNDERSCORE, one_line.translate(_LOOK_ALIKES))
    return _LINE_START.sub(lambda start: start[1] + _LINE_STARTS[start[2]], alike)


def shortened(text: str, most: int) -> str:
    """`text` in at most `most` characters, ending in "…" where it was cut: never within what is shown as one
    character, such as a letter with its accents, a flag, or an emoji of several."""
    if len(text) <= most:
        return text
    return text[: _boundary(text, most - 1)].rstrip() + ELLIPSIS


def _boundary(text: str, end: int) -> int:
    """The last place up to `end` at which `text` can be cut."""
    places = range(end, max(end - _MAX_CHARACTER, 0), -1)
    return next((place for place in places if not _is_within(text, place)), end)


def _is_within(text: str, place: int) -> bool:
    before, after = text[place - 1], text[place]
    if before == _JOINER or _JOINS_ON.match(after) or unicodedata.category(after).startswith("M"):
        return True
    if not (_FLAG_LETTER.match(before) and _FLAG_LETTER.match(after)):
        return False
    # Two letters are a flag: within one, an odd number of them lies before.
    start = place
    while start > 0 and _FLAG_LETTER.match(text[start - 1]):
        start -= 1
    return (place - start) % 2 == 1
