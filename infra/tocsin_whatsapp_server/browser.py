"""`python -m tocsin_whatsapp_server.browser CONTROL NUMBER`: be the browser that has the account's passkey.

Takes the line that a client tells its operator to run in the browser (or the bare options) on standard
input, and prints what the browser would copy.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from tocsin_whatsapp_server.control_client import ControlClient, ControlError


def options_in(text: str) -> dict[str, Any]:
    """The options in a line of code, or alone: the first JSON object with a challenge. Raises ValueError."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except ValueError:
            found = None
        if isinstance(found, dict) and "challenge" in found:
            return found
        start = text.find("{", start + 1)
    raise ValueError("no passkey options in this line")


def main(arguments: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else list(arguments)
    if len(words) != 2:
        print("usage: python -m tocsin_whatsapp_server.browser CONTROL NUMBER < LINE", file=sys.stderr)
        return 2
    control, number = words
    try:
        answer = ControlClient(control).use_passkey(number, options_in(sys.stdin.read()))
    except (ValueError, ControlError, OSError) as error:
        print(f"tocsin-whatsapp: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer, separators=(",", ":")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
