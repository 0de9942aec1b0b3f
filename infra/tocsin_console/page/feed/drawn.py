"""A line of the feed for the script of the page, ready to be shown. Pure."""

from __future__ import annotations

from typing import Any

from tocsin_console.feed.line import Line
from tocsin_console.page import shown
from tocsin_console.page.phone import runs


def line_json(line: Line) -> dict[str, Any]:
    return {
        "id": line.id,
        "at": shown.iso_of(line.created_at),
        "tone": shown.TONES[line.state],
        "state": shown.STATE_WORDS[line.state],
        "ticket": shown.line(line.ticket, 60),
        "event": line.event,
        "who": shown.line(line.whom, 80),
        "text": shown.line("".join(run.text for run in runs(line.text))),
        "stages": [
            {"word": shown.line(one.word, 60), "at": shown.iso_of(one.at), "bad": one.bad}
            for one in line.stages
        ],
    }
