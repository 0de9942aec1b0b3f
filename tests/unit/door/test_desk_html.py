"""HTML of help desks as the plain text that a chat shows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.steps import steps
from tocsin.door.desks import html as of_html
from tocsin.door.desks.html import MAX_INPUT, MAX_OUTPUT, is_html, text_of


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("plain", "plain"),
        ("<p>one</p><p>two</p>", "one\n\ntwo"),
        ("<div>one</div><div>two</div>", "one\ntwo"),
        ("one<br>two<br/>three", "one\ntwo\nthree"),
        ("<b>bold</b> and <i>it</i>", "bold and it"),
        ("Caf&eacute; &amp; &#x41;&nbsp;B", "Café & A B"),
        ("a &lt;b&gt; c", "a <b> c"),
        ("<ul><li>one</li><li><p>two</p></li></ul>after", "- one\n- two\n\nafter"),
        ("<a href='https://x.example/a'>here</a>", "here (https://x.example/a)"),
        ("<a href='https://x.example/'>https://x.example</a>", "https://x.example"),
        ("<a href='https://x.example/'>x.example</a>", "x.example"),
        ("<a href='javascript:alert(1)'>here</a>", "here"),
        ("<a href='mailto:a@x.example'>a@x.example</a>", "a@x.example"),
        ("<style>p{}</style><script>x</script><title>t</title>text", "text"),
        ("<pre>a\n  b</pre>", "a\n  b".replace("  ", "")),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("new<blockquote type='cite'>old</blockquote>", "new"),
        ("new<div class='gmail_quote'><div>old</div></div> more", "new more"),
        ("text<div data-signature='true'>-- <br>Siti</div>", "text"),
        ("<blockquote>said</blockquote>", "said"),
        ("one\n   two", "one two"),
        ("<p>un<p>closed", "un\n\nclosed"),
        ("</p></div>odd</ul>", "odd"),
        ("<img src='data:image/png;base64,AAAA'>text", "text"),
        ("<!-- secret -->text", "text"),
        ("1 < 2 <b>and</b> 3 > 2", "1 < 2 and 3 > 2"),
        ("a<!--[if mso]><xml><o:p>x</o:p></xml><![endif]-->b", "ab"),
        ("", ""),
    ],
)
def test_what_is_shown(html: str, text: str) -> None:
    assert text_of(html) == text


@pytest.mark.parametrize(
    ("text", "html"),
    [("<p>x", True), ("a <br/> b", True), ("<!DOCTYPE html>", True), ("a < b > c", False), ("1<2", False)],
)
def test_whether_a_text_is_html(text: str, html: bool) -> None:
    assert is_html(text) is html


HOSTILE = pytest.mark.parametrize(
    "html",
    [
        "<" * 200_000,
        "<!--" * 50_000,
        "<div>" * 100_000,
        "<a href='" * 20_000,
        "&" * 200_000,
        "<p " + "a=1 " * 50_000,
        "<blockquote type=cite>" * 10_000,
        "<a href='https://x.example/'>" * 5_000 + "x" + "</a>" * 5_000,
        "<img src='data:image/png;base64," + "A" * 5_000_000 + "'>end",
        "<![CDATA[" * 20_000,
        "<?" * 60_000,
    ],
)


@HOSTILE
def test_hostile_html_becomes_a_text_that_fits(html: str) -> None:
    assert len(text_of(html)) <= MAX_OUTPUT


@HOSTILE
def test_the_parser_never_looks_far_for_the_end_of_a_tag(html: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks anew from each `<`: where no end comes, that takes time with the square of the length."""
    fed: list[str] = []
    monkeypatch.setattr(of_html._Reader, "feed", lambda _, data: fed.append(data))
    text_of(html)
    assert len(fed[0]) <= MAX_INPUT * len("&lt;")
    assert re.search("<(?![^<>]{0,4000}>)|<!--", fed[0]) is None


@HOSTILE
def test_twice_as_much_html_takes_twice_the_steps(html: str) -> None:
    half, whole = (steps(lambda length=length: text_of(html[:length])) for length in (10_000, 20_000))  # type: ignore[misc]
    assert whole < 2.5 * half


def test_an_image_in_the_text_hides_nothing_behind_it() -> None:
    assert text_of("<img src='data:image/png;base64," + "A" * 5_000_000 + "'>end") == "end"


@given(st.text(alphabet=st.sampled_from("<>/ab='\"&; \n!-pdivlhref"), max_size=200))
def test_no_html_makes_it_fail(html: str) -> None:
    assert isinstance(text_of(html), str)
