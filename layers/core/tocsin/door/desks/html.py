"""HTML as help desks send it, as the plain text that a chat shows.

What a ticket says formats nothing in WhatsApp (`notify.texts.formatting` sees to that), so bold is told by
nothing here; what stays are paragraphs, list items, links and line breaks. Quoted mails and signatures go.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

MAX_INPUT: Final = 100_000
"""Characters that are looked at. What is shown of them is far less, and a parser shall not be made to work
for it."""

MAX_OUTPUT: Final = 20_000

_BLOCKS: Final = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "center",
        "dd",
        "div",
        "dl",
        "dt",
        "fieldset",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tr",
        "ul",
    ]
)
_SILENT: Final = frozenset(
    ["head", "script", "style", "title", "template", "noscript", "svg", "object", "iframe"]
)
_VOID: Final = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_PARAGRAPHS: Final = frozenset(
    ["p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "table", "pre"]
)

_TAG_OR_LESS = re.compile(r"<[^<>]{0,4000}>|<")
_INLINE_DATA = re.compile(r"""(["'])data:[^"'>\s]*""")
_LOOKS_LIKE_HTML = re.compile(r"<(?:!doctype|/?[a-z][a-z0-9]*)[\s/>]", re.IGNORECASE)
_MAIL = ("mailto:", "tel:")


def is_html(text: str) -> bool:
    """Whether a text that doesn't say what it is holds a tag."""
    return _LOOKS_LIKE_HTML.search(text, 0, MAX_INPUT) is not None


def text_of(html: str) -> str:
    """The text of `html`, at most `MAX_OUTPUT` characters; never fails, whatever the HTML is."""
    reader = _Reader()
    reader.feed(_tame(_INLINE_DATA.sub(r"\1data:", html)[:MAX_INPUT]))
    reader.close()
    return reader.text()[:MAX_OUTPUT]


def _tame(html: str) -> str:
    """Without comments, and with `<` as text where no tag ends soon: a parser that looks for its end again
    and again takes time with the square of the length."""
    kept, at = [], 0
    while (start := html.find("<!--", at)) >= 0:
        kept.append(html[at:start])
        end = html.find("-->", start)
        at = len(html) if end < 0 else end + 3
    kept.append(html[at:])
    return _TAG_OR_LESS.sub(lambda found: found[0] if len(found[0]) > 1 else "&lt;", "".join(kept))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._parts: list[str] = []
        self._length = 0
        self._silent: list[str] = []
        self._links: list[tuple[str, int]] = []
        self._pre = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if self._silent:
            if tag == self._silent[0] and tag not in _VOID:
                self._silent.append(tag)
            return
        if tag in _SILENT or (tag not in _VOID and _is_quoted(tag, told)):
            self._silent.append(tag)
            return
        if tag == "br":
            self._break(1)
        elif tag in _BLOCKS:
            self._break(2 if tag in _PARAGRAPHS else 1)
        if tag == "li":
            self._add("- ")
        elif tag in ("td", "th"):
            self._add(" ")
        elif tag == "pre":
            self._pre += 1
        elif tag == "a":
            self._links.append((told.get("href", ""), len(self._parts)))

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            if tag == self._silent[0]:
                self._silent.pop()
            return
        if tag == "a" and self._links:
            self._close_link(*self._links.pop())
        elif tag == "pre":
            self._pre = max(self._pre - 1, 0)
        if tag in _BLOCKS:
            self._break(2 if tag in _PARAGRAPHS else 1)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._add(data if self._pre else re.sub(r"[ \t\r\n\f\u00a0]+", " ", data))

    def text(self) -> str:
        lines = [line.strip() for line in "".join(self._parts).split("\n")]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()

    def _add(self, text: str) -> None:
        if self._length <= MAX_OUTPUT * 2:
            self._parts.append(text)
            self._length += len(text)

    def _break(self, lines: int) -> None:
        """At least so many line breaks here; a list item's dash keeps what follows beside it."""
        tail = "".join(self._parts[-3:])
        if not tail or tail.endswith("- "):
            return
        tail = tail.rstrip(" ")
        have = len(tail) - len(tail.rstrip("\n"))
        if have < lines:
            self._add("\n" * (lines - have))

    def _close_link(self, href: str, start: int) -> None:
        shown = "".join(self._parts[start:]).strip()
        where = href.strip()
        bare = where.removeprefix("mailto:").removeprefix("tel:")
        told = (bare.partition("://")[2] or bare).rstrip("/")
        if where.lower().startswith(("http://", "https://", *_MAIL)) and told not in shown:
            self._add(f" ({bare})")


def _is_quoted(tag: str, told: dict[str, str]) -> bool:
    """Earlier mails and signatures, as Zammad and the programs for mail mark them."""
    classes = told.get("class", "").split()
    return (
        (tag == "blockquote" and told.get("type") == "cite")
        or "data-signature" in told
        or "gmail_quote" in classes
        or "js-signatureMarker" in classes
    )
