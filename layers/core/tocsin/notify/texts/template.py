"""The words of a notification: text templates per language, event type and audience.

    templates/<language>/<EventType>.<audience>.txt      what is said
    templates/<language>/_<part>.txt                     parts that those include
    templates/<language>/words.json                      priorities and states in that language
    templates/<language>/consent.json                    the words of consent (`consent.py`)

Folders given first override this package's, file by file. Jinja2 in its sandbox; a name or field that doesn't
exist is an error and never an empty spot. Whatever a ticket says reaches a template already harmless
(`formatting.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tocsin.notify.events.audience import Recipient
from tocsin.notify.events.event import TicketEvent
from tocsin.notify.texts.formatting import line, link, paragraph, quote, shortened, unclickable
from tocsin.notify.texts.languages import DEFAULTS, LAST_LANGUAGE, is_language

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_CHARACTERS = 4096
"""A notification is read on a phone. What is longer is cut."""

# Characters of each field, as far as they are shown.
_ID, _SUBJECT, _NAME, _WORD, _PLACE, _EXTRA = 64, 200, 80, 40, 200, 300
_DESCRIPTION, _DESCRIPTION_LINES = 600, 8
_REPLY, _REPLY_LINES = 2000, 40
_NAMES = 5

Shown = Callable[[str], str]


class TemplateFailed(ValueError):
    """A template couldn't be rendered for this event. `template` is its path, `reason` what it stumbled
    over."""

    def __init__(self, template: str, reason: str) -> None:
        super().__init__(template, reason)
        self.template = template
        self.reason = reason

    def __str__(self) -> str:
        return f"template {self.template}: {self.reason}"


@dataclass(frozen=True)
class Rendered:
    """What is said to one recipient, and in which language."""

    language: str
    text: str


class Templates:
    """The texts in `folders`, earlier ones first, and after them those of this package.

    `overrides`: path, such as `id/_greeting.txt` → a text that stands before all folders.
    `clickable_customer_links`: whether phones of technicians may make links of what a ticket says.
    """

    def __init__(
        self,
        *folders: Path,
        clickable_customer_links: bool = False,
        overrides: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.folders = (*folders, DEFAULTS)
        self._overrides = overrides
        self._clickable = clickable_customer_links

    def render(self, event: TicketEvent, recipient: Recipient, default_language: str) -> Rendered:
        """What `recipient` is told about `event`. Raises TemplateFailed."""
        name = f"{event.event_type}.{recipient.audience}.txt"
        languages = _languages(recipient.language, default_language)
        template = self._select(name, languages)
        language = template.name.split("/")[0]
        try:
            text = template.render(
                context(event, recipient, self._words(language), self.shown_to(recipient.audience))
            )
        except Exception as exc:
            raise TemplateFailed(template.name, f"{type(exc).__name__}: {exc}") from exc
        text = _tidy(text)
        if not text:
            raise TemplateFailed(template.name, "says nothing")
        return Rendered(language, text)

    def has(self, path: str) -> bool:
        """Whether there is such a text or part."""
        return path in self._overrides or any((folder / path).is_file() for folder in self.folders)

    def shown_to(self, audience: str) -> Shown:
        """What is done to foreign words before this audience reads them. A customer reads their own; those
        who work on tickets read what any stranger wrote."""
        return str if self._clickable or audience == "customer" else unclickable

    @cached_property
    def environment(self) -> ImmutableSandboxedEnvironment:
        from jinja2 import ChoiceLoader, DictLoader, FileSystemLoader, StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        files = FileSystemLoader([str(folder) for folder in self.folders])
        environment = ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([DictLoader(self._overrides), files]) if self._overrides else files,
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,  # an included part ends its own last line
            auto_reload=False,
        )
        environment.filters["quote"] = quote
        return environment

    def _select(self, name: str, languages: Sequence[str]) -> Any:
        from jinja2 import TemplatesNotFound, TemplateSyntaxError

        try:
            return self.environment.select_template([f"{language}/{name}" for language in languages])
        except TemplatesNotFound as exc:
            raise TemplateFailed(name, f"there is none in {', '.join(languages)}") from exc
        except TemplateSyntaxError as exc:
            raise TemplateFailed(exc.name or name, f"line {exc.lineno}: {exc.message}") from exc

    @cache  # noqa: B019 - one instance per process, some languages
    def _words(self, language: str) -> Mapping[str, str]:
        words: dict[str, str] = {}
        for folder in reversed(self.folders):
            path = folder / language / "words.json"
            if path.is_file():
                words |= json.loads(path.read_text(encoding="utf-8"))
        own = self._overrides.get(f"{language}/words.json")
        return words | json.loads(own) if own else words


def context(
    event: TicketEvent, recipient: Recipient, words: Mapping[str, str], shown: Shown = str
) -> dict[str, Any]:
    """All that a template may name, harmless and bounded. Empty text where the event says nothing.

    `shown`: what is done, besides, to whatever the event says, but for `ticket.url`, the ticketing system's
    own link, and the customer's phone number.
    """
    ticket, customer = event.ticket, event.customer

    def foreign(text: str, most: int) -> str:
        return shown(line(text, most))

    names = [foreign(person.name, _NAME) for person in event.technicians if line(person.name, _NAME)]
    own_name = foreign(recipient.name, _NAME)
    return {
        "event_type": event.event_type,
        "recipient": {"name": own_name, "audience": recipient.audience},
        "ticket": {
            "id": foreign(ticket.id, _ID),
            "revision": ticket.revision,
            "subject": foreign(ticket.subject, _SUBJECT) or "–",
            "description": shown(paragraph(ticket.description, _DESCRIPTION, _DESCRIPTION_LINES)),
            "priority": shown(_word("priority", ticket.priority, words)),
            "status": shown(_word("status", ticket.status, words)),
            "location": foreign(ticket.location, _PLACE),
            "url": link(ticket.url),
            "created_at": foreign(ticket.created_at, _WORD),
            "extra": {name: _extra(value, shown) for name, value in ticket.extra.items()},
        },
        "customer": {
            "name": foreign(customer.name, _NAME) if customer else "",
            "phone": f"+{customer.phone}" if customer and customer.phone else "",
        },
        "technicians": _enumerated(names, words),
        "colleagues": _enumerated([name for name in names if name != own_name], words),
        "reply": {
            "text": shown(paragraph(event.reply.text, _REPLY, _REPLY_LINES)) if event.reply else "",
            "by": foreign(event.reply.by, _NAME) if event.reply else "",
        },
        "made_by": event.created_by.role if event.created_by else "",
    }


def _extra(value: Any, shown: Shown) -> Any:
    if value is None:
        return ""
    return shown(line(value, _EXTRA)) if isinstance(value, str) else value


def _word(kind: str, value: str, words: Mapping[str, str]) -> str:
    """The language's word for a priority or state; one it doesn't know stays as it came."""
    plain = re.sub(r"[\s_-]+", "_", value.strip().lower())
    return words.get(f"{kind}.{plain}") or line(value, _WORD)


def _enumerated(names: Sequence[str], words: Mapping[str, str]) -> str:
    """Names as a language lists them; beyond the fifth only how many."""
    shown = list(names[:_NAMES])
    if len(names) > _NAMES:
        shown.append(f"+{len(names) - _NAMES}")
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} {words.get('and', '&')} {shown[-1]}"


def _languages(wanted: str, default: str) -> list[str]:
    """Languages to try, in order: es-MX, es, the account's, English. What is no language tag is left out."""
    tried: list[str] = []
    for tag in (wanted, default, LAST_LANGUAGE):
        parts = tag.strip().lower().replace("_", "-").split("-")
        tried += ["-".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return [tag for tag in dict.fromkeys(tried) if is_language(tag)]


def _tidy(text: str) -> str:
    """No blanks at line ends, never two empty lines in a row, nothing around it, not too long."""
    lines = "\n".join(one.rstrip() for one in text.split("\n"))
    return shortened(re.sub(r"\n{3,}", "\n\n", lines).strip(), MAX_CHARACTERS)
