"""Dead letters: by reason with what mends it; what would be done is shown, then done, and written down."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.support.console_page import Answer, Browser, served
from tests.support.fake_deployment import NOW, FakeDeployment
from tocsin.notify.notification import State
from tocsin.notify.store.audit import LETTERS_DROPPED
from tocsin_console.page.jobs import Job
from tocsin_console.reasons import REASONS

BUDI = "628111222333"


def preview(browser: Browser, **form: str) -> tuple[str, Answer]:
    """The way of a job that was asked for, and its page."""
    answer = browser.post("/letters/preview", **form)
    assert answer.status == 303, answer.text
    way = answer.headers["location"]
    return way, browser.get(way)


def done(browser: Browser, way: str, note: str = "") -> Answer:
    """Start a job, and its page once it is over."""
    browser.submit(f"{way}/start", note=note)
    until = time.monotonic() + 60
    while "data-watch" in (answer := browser.get(way)).raw and time.monotonic() < until:
        time.sleep(0.02)
    return answer


def test_each_reason_says_what_it_means_and_what_mends_it(fake: FakeDeployment, browser: Browser) -> None:
    fake.failed(code="not-on-whatsapp")
    fake.failed(BUDI, code="server-error")
    fake.failed(BUDI, code="never-heard-of")
    text = browser.get("/letters").text
    assert "3 messages were given up." in text
    assert "This number isn't on WhatsApp. 1" in text
    assert "WhatsApp or the network failed for longer than it was tried. 1" in text
    assert "Its reason has no page of its own" in text


def test_every_reason_has_words() -> None:
    assert [code for code, one in REASONS.items() if not one.means.endswith(".") or not one.mend] == []


def test_where_nothing_was_given_up_it_says_so(browser: Browser) -> None:
    assert "Nothing was given up." in browser.get("/letters").text


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("person=0811", 1),
        ("ticket=TCK-1", 1),
        ("reason=server-error", 2),
        ("reason=x", 0),
        ("words=nobody", 0),
    ],
)
def test_a_filter_lets_through_what_it_names(
    fake: FakeDeployment, browser: Browser, query: str, count: int
) -> None:
    fake.failed()
    fake.failed(BUDI)
    raw = browser.get(f"/letters?{query}").raw
    assert len(re.findall(r'<td><a href="/notification/', raw)) == count


def test_a_preview_does_nothing(fake: FakeDeployment, browser: Browser) -> None:
    one = fake.failed()
    _, page = preview(browser, verb="redrive")
    assert "Send again: 1 message, to 1 recipient." in page.text
    assert "1 message: would be sent again" in page.text
    assert (fake.stored(one).state, fake.count("Notifications")) == (State.FAILED, 0)


def test_what_arrived_meanwhile_is_not_chosen_and_its_letter_goes(
    fake: FakeDeployment, browser: Browser
) -> None:
    fake.arrives(fake.failed())
    _, page = preview(browser, verb="redrive")
    assert "Nothing is chosen" in page.text
    assert fake.count("DeadLetters") == 0


def test_sending_again_is_done_and_written_down(fake: FakeDeployment, browser: Browser) -> None:
    one, other = fake.failed(), fake.failed(BUDI, code="forbidden")
    way, _ = preview(browser, verb="redrive", reason="server-error")
    assert "Done: 1 sent again." in done(browser, way, "network is back").text
    assert (fake.stored(one).state, fake.stored(other).state) == (State.PLANNED, State.FAILED)
    assert [order["notification"] for order in fake.taken("Notifications")] == [one.id]
    (line,) = fake.deployment.stores.audit.lines()
    assert (line.by, line.count, line.note) == ("assumed-role/Operator/dewi", 1, "network is back")
    assert "network is back" in browser.get("/letters").text


def test_dropping_is_done_and_written_down(fake: FakeDeployment, browser: Browser) -> None:
    fake.failed()
    way, page = preview(browser, verb="drop")
    assert "would be dropped" in page.text
    assert "Done: 1 dropped." in done(browser, way).text
    assert fake.count("DeadLetters") == 0
    line = next(fake.deployment.stores.audit.lines())
    assert (line.what, line.kind) == ("dropped dead letters: 1 dropped", LETTERS_DROPPED)
    assert len(line.ids) == 1


def test_what_can_never_be_sent_again_is_not_offered(fake: FakeDeployment, browser: Browser) -> None:
    fake.unreachable()
    assert 'value="redrive"' not in browser.get("/letters").raw
    way, page = preview(browser, verb="redrive")
    assert "None of these can be sent again." in page.text
    assert f'action="{way}/start"' not in page.raw


def test_what_can_go_is_offered_beside_what_cannot(fake: FakeDeployment, browser: Browser) -> None:
    fake.unreachable()
    fake.failed()
    raw = browser.get("/letters").raw
    assert "Send 1 again…" in raw
    assert raw.count('value="redrive"') == 2
    way, page = preview(browser, verb="redrive")
    assert f'action="{way}/start"' in page.raw


def test_a_job_is_done_once(fake: FakeDeployment, browser: Browser) -> None:
    fake.failed()
    way, _ = preview(browser, verb="redrive")
    done(browser, way)
    browser.submit(f"{way}/start")
    assert len(list(fake.deployment.stores.audit.lines())) == 1


def test_one_that_is_cancelled_does_nothing_more(fake: FakeDeployment, browser: Browser) -> None:
    fake.failed()
    way, _ = preview(browser, verb="redrive")
    assert "Stopped: nothing." in browser.submit(f"{way}/cancel").text
    browser.submit(f"{way}/start")
    assert fake.count("DeadLetters") == 1


def test_a_job_stops_after_what_it_is_doing() -> None:
    finished = []

    def work():
        for number in range(5):
            if number == 2:
                job.cancel()
            yield "redriven", number

    job: Job[int] = Job("Send again", 5, work, lambda counts, note: finished.append(dict(counts)))
    job.run(str)
    assert (job.state, job.results, finished) == ("cancelled", [0, 1, 2], [{"redriven": 3}])


def test_what_goes_wrong_is_said_with_what_was_done() -> None:
    def work():
        yield "redriven", 1
        raise ConnectionError("away")

    job: Job[int] = Job("Send again", 2, work, lambda counts, note: None)
    job.run(str)
    assert (job.state, job.seen, job.trouble) == ("done", 1, "away")


@pytest.mark.parametrize("form", [{"verb": "explode"}, {}])
def test_what_is_no_choice_does_nothing(fake: FakeDeployment, browser: Browser, form: dict[str, str]) -> None:
    fake.failed()
    assert browser.post("/letters/preview", **form).status == 404
    assert fake.count("DeadLetters") == 1


def test_where_nothing_is_chosen_it_says_so(browser: Browser) -> None:
    assert "Nothing is chosen" in browser.submit("/letters/preview", verb="redrive", reason="x").text


def test_a_preview_of_a_console_that_was_started_anew_is_gone(browser: Browser) -> None:
    answer = browser.get("/letters/jobs/gone")
    assert (answer.status, "choose again" in answer.text) == (404, True)


def test_one_is_sent_again_from_its_own_page(fake: FakeDeployment, browser: Browser) -> None:
    one = fake.failed()
    assert f'name="id" value="{one.id}"' in browser.get(f"/notification/{one.id}").raw
    answer = browser.submit("/letters/redrive", id=one.id, back=f"/notification/{one.id}")
    assert "It is sent again." in answer.text
    assert fake.stored(one).state is State.PLANNED


@pytest.mark.parametrize("back", ["https://evil.example", "//evil.example", "/notification/../letters"])
def test_the_way_back_stays_on_this_site(browser: Browser, back: str) -> None:
    answer = browser.post("/letters/redrive", id="0" * 18, back=back)
    assert re.match(r"/(letters|notification/)", answer.headers["location"])


def test_a_refused_event_is_shown_planned_again_or_dropped(fake: FakeDeployment, browser: Browser) -> None:
    for number in (1, 2):
        event = {
            "id": f"e-{number}",
            "detail-type": "TicketCreated",
            "detail": {"ticket": {"id": f"T-{number}"}},
        }
        fake.refuse(event, "detail.ticket.subject: is missing")
    text = browser.get("/letters/events").text
    assert "2 ticket events told nobody." in text
    assert "detail.ticket.subject: is missing" in text
    assert "It is planned again." in browser.submit("/letters/events", id="e-1", verb="redrive").text
    assert "It is dropped." in browser.submit("/letters/events", id="e-2", verb="drop").text
    assert (fake.count("TicketEvents"), fake.count("TicketEventsDead")) == (1, 0)
    assert len(list(fake.deployment.stores.audit.lines())) == 2


def test_a_refused_webhook_names_its_source_and_what_must_change_first(
    fake: FakeDeployment, browser: Browser
) -> None:
    webhook = {"id": "w-1", "detail-type": "WebhookRefused", "detail": {"webhook": "zammad", "body": "{}"}}
    letter = {"reason": "webhook-refused", "violations": ["change: …"], "event": json.dumps(webhook)}
    fake.put("TicketEventsDead", json.dumps(letter))
    text = browser.get("/letters/events").text
    assert "source zammad" in text
    assert "ticket ?" not in text
    assert "until the mapping of its source is changed" in text
    planned = browser.submit("/letters/events", id="w-1", verb="redrive").text
    assert "It is planned again. It is refused again until the mapping" in planned


def test_two_consoles_at_once_send_a_letter_again_once(fake: FakeDeployment, browser: Browser) -> None:
    fake.failed()
    with served(fake.deployment, clock=lambda: NOW) as stranger:
        other = stranger.comes_in()
        ways = [preview(one, verb="redrive")[0] for one in (browser, other)]
        said = [done(one, way).text for one, way in zip((browser, other), ways, strict=True)]
    assert ["Done: 1 sent again." in text for text in said] == [True, False]
    assert "Done: nothing." in said[1] or "Done: 1 left." in said[1]
    assert fake.count("Notifications") == 1
