"""Languages as help desks name them, as the tag that the ticket event wants."""

from __future__ import annotations

import re

_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_BY_NAME = {
    "english": "en", "inglés": "en", "inglese": "en", "inggris": "en", "englisch": "en", "anglais": "en",
    "indonesian": "id", "indonesia": "id", "bahasa indonesia": "id", "indonesio": "id",
    "spanish": "es", "español": "es", "castellano": "es", "spanyol": "es", "spanisch": "es", "espagnol": "es",
    "portuguese": "pt", "português": "pt", "portugués": "pt", "brazilian portuguese": "pt-BR",
    "french": "fr", "français": "fr", "german": "de", "deutsch": "de", "italian": "it", "italiano": "it",
    "dutch": "nl", "nederlands": "nl", "malay": "ms", "bahasa melayu": "ms", "javanese": "jv", "arabic": "ar",
    "hindi": "hi", "thai": "th", "vietnamese": "vi", "turkish": "tr", "russian": "ru", "ukrainian": "uk",
    "polish": "pl", "romanian": "ro", "chinese": "zh", "simplified chinese": "zh-CN",
    "traditional chinese": "zh-TW",
    "japanese": "ja", "korean": "ko", "swahili": "sw", "filipino": "fil", "tagalog": "tl",
}  # fmt: skip


def language_tag(text: str) -> str | None:
    """`English (United States)`, `Español`, `pt_BR`, `id-ID` as a tag; None for what is none of them."""
    name = text.partition("(")[0].strip().lower()
    if name in _BY_NAME:
        return _BY_NAME[name]
    # Joomla's and Jira's way: en_US.UTF-8.
    tag = text.strip().partition(".")[0].replace("_", "-")
    return tag if _TAG.fullmatch(tag) and len(tag) <= 35 else None
