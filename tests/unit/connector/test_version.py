"""Finding the current client version in WhatsApp's own page."""

from __future__ import annotations

import pytest

from tocsin.connector.version import VersionUnknown, parse


@pytest.mark.parametrize(
    "page",
    [
        rb'x("{\"client_revision\":1045649367,\"a\":1}")',
        b'{"client_revision":1045649367,"server":2}',
        b'"client_revision" : 1045649367, "client_revision":1999999999',
    ],
)
def test_the_first_revision_counts(page: bytes) -> None:
    assert parse(page) == (2, 3000, 1045649367)


@pytest.mark.parametrize("page", [b"", b"<html>", b'"client_revision":12345', b'"client_revision":null'])
def test_a_page_without_a_plausible_one_is_no_news(page: bytes) -> None:
    with pytest.raises(VersionUnknown):
        parse(page)
