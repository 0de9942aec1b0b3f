"""What makes links of text: judges of whether a text holds one.

`linkify-it` is the library of markdown-it, told every top-level domain and that addresses of digits count.
The other follows `android.util.Patterns` (AUTOLINK_WEB_URL, AUTOLINK_EMAIL_ADDRESS), which chats on Android
go by, with any letters for a top-level domain: its list grows from release to release.
"""

from __future__ import annotations

import re

from linkify_it import LinkifyIt
from linkify_it.tlds import TLDS

_LINKIFY = LinkifyIt(options={"fuzzy_ip": True, "fuzzy_link": True, "fuzzy_email": True}).tlds(TLDS)

# Android's UCS_CHAR: what an internationalised name may hold, look-alikes of signs included.
_UCS = "\u00a1-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u2fff\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\uffef"
_LETTER = f"a-zA-Z{_UCS}"
_SIGN = f"{_LETTER}0-9"
_LABEL = f"[{_SIGN}](?:[{_SIGN}_\\-]{{0,61}}[{_SIGN}])?"
_TLD = rf"(?:xn\-\-[\w\-]{{0,58}}\w|[{_LETTER}]{{2,63}})"
_IP = r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_DOMAIN = rf"(?:(?:{_LABEL}\.)+{_TLD}|{_IP})"
_ANDROID = (
    re.compile(rf"(?i:https?|rtsp|ftp)://(?:{_LABEL}|{_IP})"),
    re.compile(_DOMAIN),
    re.compile(rf"[a-zA-Z0-9+._%\-]{{1,256}}@{_DOMAIN}"),
)


def links_in(text: str) -> list[str]:
    """Whatever one of the judges would make a link of."""
    found = [match.raw for match in _LINKIFY.match(text) or ()]
    return found + [match[0] for pattern in _ANDROID for match in pattern.finditer(text)]
