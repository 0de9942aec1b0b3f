"""The feed: every notification by time, filtered in the address, live, and nothing read while nobody
looks."""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.console_page import Browser
from tests.support.fake_cloud import ACCOUNT, MemoryCloud
from tests.support.fake_deployment import NOW, SITI, FakeDeployment
from tests.support.memory_streams import MemoryStreams
from tocsin.notify.notification import Notification, Problem
from tocsin.tables.notifications import notification_key
from tocsin_console.feed.history import FIRST, History
from tocsin_console.feed.stream import Behind, NoStream, Stream
from tocsin_console.page.feed import watching
from tocsin_console.page.feed.recent import Recent

BUDI = "628111222333"
OPTED_OUT = Problem("opted-out", "permanent")


def sent(fake: FakeDeployment, recipient: str = SITI, later_ms: int = 0, **more: Any) -> Notification:
    one = fake.planned(recipient, **more)
    fake.deployment.stores.notifications.mark_sent(
        one.id, {}, at=NOW * 1000 + 1000, account=ACCOUNT, receipt_deadline=NOW * 1000 + 60_000 + later_ms
    )
    return one


def tickets(answer: Any) -> list[str]:
    import re

    return re.findall(r'data-slot="ticket">([^<]+)<', answer.raw)


def test_what_was_sent_what_waits_and_what_ended_is_there(fake: FakeDeployment, browser: Browser) -> None:
    stores = fake.deployment.stores
    sent(fake)
    waits = fake.planned()
    stores.parking.park(waits, "account-unavailable", NOW * 1000)
    fake.failed()
    stores.notifications.suppress(fake.planned().id, OPTED_OUT, NOW * 1000)
    answer = browser.get("/feed")
    assert sorted(tickets(answer)) == ["TCK-1", "TCK-2", "TCK-3", "TCK-4"]
    for words in ("waits: account-unavailable", "given up: server-error", "not sent: opted-out"):
        assert words in answer.text


def test_a_number_is_masked_and_still_looked_for(fake: FakeDeployment, browser: Browser) -> None:
    sent(fake, SITI)
    sent(fake, BUDI)
    answer = browser.get("/feed?person=0811+1222")
    assert tickets(answer) == ["TCK-2"]
    assert BUDI not in answer.raw


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("ticket=tck-2", ["TCK-2"]),
        ("state=failed", ["TCK-2"]),
        ("state=sent", ["TCK-1"]),
        ("state=nonsense", ["TCK-2", "TCK-1"]),
        ("audience=group", []),
        ("event=TicketCreated", ["TCK-2", "TCK-1"]),
        ("event=TicketResolved", []),
        ("account=default", ["TCK-2", "TCK-1"]),
        ("account=other", []),
        ("words=halo+tck-2", ["TCK-2"]),
        ("words=halo+nobody", []),
        ("time=hour", ["TCK-2", "TCK-1"]),
    ],
)
def test_a_filter_lets_through_what_it_names(
    fake: FakeDeployment, browser: Browser, query: str, found: list[str]
) -> None:
    sent(fake, text="Halo Siti")
    fake.failed()
    assert sorted(tickets(browser.get(f"/feed?{query}"))) == sorted(found)


def test_the_others_of_a_person_are_found_without_a_number_in_the_address(
    fake: FakeDeployment, browser: Browser
) -> None:
    first = sent(fake, SITI)
    sent(fake, BUDI)
    sent(fake, SITI)
    browser.get("/feed")
    assert sorted(tickets(browser.get(f"/feed?like={first.id}"))) == ["TCK-1", "TCK-3"]
    assert tickets(browser.get("/feed?like=nobody")) == []


def test_a_broken_record_hides_no_other(fake: FakeDeployment, browser: Browser) -> None:
    sent(fake)
    fake.spoil(sent(fake))
    assert tickets(browser.get("/feed")) == ["TCK-1"]


class Counted:
    """How often a table was asked, by the name of the call; `most`: the largest page that was asked for."""

    def __init__(self, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: Counter[str] = Counter()
        self.most = 0
        for name in ("newest", "get_many", "walk"):
            monkeypatch.setattr(table, name, self._counting(name, getattr(table, name)))

    def _counting(self, name: str, call: Any) -> Any:
        def counted(*given: Any) -> Any:
            self.calls[name] += 1
            if name == "newest":
                self.most = max(self.most, given[-1])
            return call(*given)

        return counted


@pytest.fixture
def history(fake: FakeDeployment) -> Iterator[History]:
    deployment = fake.deployment
    with ThreadPoolExecutor(6) as threads:
        yield History(deployment.glance_table, deployment.stores, lambda: [ACCOUNT], threads)


@pytest.mark.parametrize("many", [10, 300])
def test_the_first_look_reads_no_more_of_many_than_of_few(
    fake: FakeDeployment, history: History, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    for _ in range(many):
        sent(fake)
    fake.spoil(sent(fake, later_ms=1))
    counted = Counted(fake.deployment.glance_table, monkeypatch)
    first = history.first()
    # Four parts of what was sent, that of release 0.1.0, and what ended: a page of each. Then the records.
    assert counted.calls["newest"] == 6
    assert counted.calls["get_many"] <= 3
    assert counted.most == FIRST
    # The broken one is the newest, and takes one place.
    assert len(first.lines) == min(many, FIRST - 1)


def test_what_the_first_look_left_is_read_behind_it(fake: FakeDeployment, browser: Browser) -> None:
    for _ in range(130):
        sent(fake)
    browser.get("/feed")
    feed = browser.site.offered["feed"][1]
    until = time.monotonic() + 20
    while not feed.complete and time.monotonic() < until:
        time.sleep(0.01)
    assert (feed.complete, len(feed.recent)) == (True, 130)


def test_after_more_than_a_page_came_while_nobody_looked_nothing_is_missing(
    fake: FakeDeployment, history: History
) -> None:
    clock = [0.0]
    stream = Stream(MemoryStreams(), "table")
    feed = watching.Watching(history, stream, Recent(), str, clock=lambda: clock[0])
    until = time.monotonic() + 20
    for much, known in ((10, 10), (150, 160)):
        for _ in range(much):
            sent(fake, later_ms=much)
        clock[0] += 60
        feed.look()
        while (len(feed.recent) < known or not feed.complete) and time.monotonic() < until:
            time.sleep(0.01)
        assert len(feed.recent) == known


def test_older_ones_are_on_the_next_page(fake: FakeDeployment, browser: Browser) -> None:
    for _ in range(60):
        sent(fake)
    first = browser.get("/feed")
    older = first.raw.partition("before=")[2].partition('"')[0]
    second = browser.get(f"/feed?before={older}")
    assert (len(tickets(first)), len(tickets(second))) == (50, 10)
    assert not set(tickets(first)) & set(tickets(second))
    assert "data-feed" not in second.raw


@pytest.mark.parametrize("before", ["x", "1", "-1.a", "9" * 40 + ".a", ".", "<script>"])
def test_nonsense_in_the_address_is_no_place(fake: FakeDeployment, browser: Browser, before: str) -> None:
    sent(fake)
    assert browser.get(f"/feed?before={before}").status == 200


def test_without_a_right_to_the_index_the_page_says_so(
    fake: FakeDeployment, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any) -> Any:
        told = {"Code": "AccessDeniedException", "Message": "not authorized to perform: dynamodb:Query"}
        raise ClientError({"Error": told}, "Query")

    monkeypatch.setattr(fake.deployment.glance_table, "newest", denied)
    answer = browser.get("/feed")
    assert (answer.status, "AWS refused it" in answer.text) == (200, True)


# -- live --------------------------------------------------------------------------------------------------


def follow(browser: Browser, path: str, wanted: int) -> list[tuple[str, Any]]:
    """The first events of a stream."""
    connection = http.client.HTTPConnection("127.0.0.1", browser.site.door.port, timeout=60)
    connection.request("GET", path, headers={"Cookie": browser.cookie})
    answer = connection.getresponse()
    found: list[tuple[str, Any]] = []
    kind = ""
    try:
        while len(found) < wanted:
            line = answer.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                found.append((kind, json.loads(line[6:]) if kind == "line" else line[6:]))
    finally:
        connection.close()
    return found


@pytest.fixture
def streams(aws: MemoryCloud, monkeypatch: pytest.MonkeyPatch) -> MemoryStreams:
    monkeypatch.setattr(watching, "EACH_SECONDS", 0.01)
    monkeypatch.setattr(watching, "AGAIN_SECONDS", 0.01)
    aws.streams = MemoryStreams()
    return aws.streams


def changed(fake: FakeDeployment, streams: MemoryStreams, one: Notification) -> None:
    streams.changed(fake.deployment.outside_table.get(notification_key(one.id)))


def begun(streams: MemoryStreams) -> None:
    """It is being followed from here on."""
    until = time.monotonic() + 60
    while not streams.asked and time.monotonic() < until:
        time.sleep(0.005)


def later(do: Any) -> None:
    import threading

    threading.Thread(target=do, daemon=True).start()


def test_what_changes_is_told_with_its_state_and_whether_it_matches(
    fake: FakeDeployment, browser: Browser, streams: MemoryStreams
) -> None:
    one = sent(fake)

    def happen() -> None:
        begun(streams)
        changed(fake, streams, one)
        asked = streams.asked
        while streams.asked < asked + 2:
            time.sleep(0.005)
        fake.arrives(one)
        changed(fake, streams, one)

    later(happen)
    told = follow(browser, "/feed/events?state=sent", 2)
    assert [(kind, line["state"], line["matches"]) for kind, line in told] == [
        ("line", "sent", True),
        ("line", "delivered", False),
    ]
    assert SITI not in json.dumps(told)


def test_what_keeps_the_stream_away_is_told_in_words_and_it_goes_on(
    fake: FakeDeployment, browser: Browser, streams: MemoryStreams
) -> None:
    streams.fails = ["AccessDeniedException"]
    one = sent(fake)

    def happen() -> None:
        while streams.asked < 2:
            time.sleep(0.005)
        changed(fake, streams, one)

    later(happen)
    told = follow(browser, "/feed/events", 3)
    assert told[0][0] == "trouble"
    assert "Your AWS permissions" in told[0][1]
    assert told[1] == ("trouble", "")
    assert told[2][1]["id"] == one.id


def test_a_page_left_open_over_a_redeployment_is_told_to_come_back(
    fake: FakeDeployment, browser: Browser, streams: MemoryStreams
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", browser.site.door.port, timeout=20)
    connection.request("GET", "/feed/events", headers={"Cookie": browser.cookie})
    answer = connection.getresponse()
    begun(streams)
    browser.site.deployment = replace(browser.site.deployment)
    browser.get("/feed")
    assert answer.read().startswith(b"retry: ")
    connection.close()


def test_while_nobody_looks_nothing_is_asked(
    fake: FakeDeployment, browser: Browser, streams: MemoryStreams
) -> None:
    streams.fails = ["AccessDeniedException"]
    follow(browser, "/feed/events", 1)
    watched = browser.site.offered["feed"][1]
    until = time.monotonic() + 60
    while watched._following.is_alive() and time.monotonic() < until:
        # A browser that went is noticed when something is told to it.
        watched._tell(("trouble", "x"))
        time.sleep(0.05)
    asked = streams.asked
    time.sleep(0.1)
    assert streams.asked == asked


# -- the stream --------------------------------------------------------------------------------------------


def items(fake: FakeDeployment) -> Any:
    return fake.deployment.outside_table.get(notification_key(sent(fake).id))


def test_a_stream_is_read_from_now_on(fake: FakeDeployment) -> None:
    client = MemoryStreams()
    client.changed(items(fake))
    stream = Stream(client, "table")
    stream.begin()
    assert list(stream.read()) == []
    client.changed(items(fake))
    assert len(stream.read()) == 1


def test_a_shard_that_ends_is_followed_by_its_children(fake: FakeDeployment) -> None:
    client = MemoryStreams()
    stream = Stream(client, "table")
    stream.begin()
    client.shards["s2"] = []
    client.ended["s1"] = "9"
    client.changed(items(fake), "s2")
    found = [*stream.read(), *stream.read()]
    assert len(found) == 1


def test_shards_are_read_one_after_the_other(fake: FakeDeployment) -> None:
    client = MemoryStreams()
    client.shards["s2"] = []
    stream = Stream(client, "table")
    stream.begin()
    client.changed(items(fake), "s1")
    client.changed(items(fake), "s2")
    assert [len(stream.read()), len(stream.read()), client.asked] == [1, 1, 2]


def test_other_items_of_the_table_are_no_news() -> None:
    client = MemoryStreams()
    stream = Stream(client, "table")
    stream.begin()
    client.changed({"pk": "hours#default", "sk": "1", "Sent": 2})
    client.shards["s1"].append({"eventName": "REMOVE", "dynamodb": {}})
    assert list(stream.read()) == []


@pytest.mark.parametrize("code", ["LimitExceededException", "ThrottlingException"])
def test_where_aws_is_busy_it_is_asked_again_later(code: str) -> None:
    client = MemoryStreams()
    stream = Stream(client, "table")
    stream.begin()
    client.fails = [code]
    assert list(stream.read()) == []


def test_what_the_stream_no_longer_has_is_said() -> None:
    client = MemoryStreams()
    stream = Stream(client, "table")
    stream.begin()
    client.fails = ["TrimmedDataAccessException"]
    with pytest.raises(Behind):
        stream.read()


def test_a_table_without_a_stream_is_said() -> None:
    client = MemoryStreams()
    client.streams = []
    with pytest.raises(NoStream):
        Stream(client, "table").begin()


def test_the_feed_is_filtered_by_whose_event_it_was_and_keeps_that_in_the_address(
    fake: FakeDeployment, browser: Browser
) -> None:
    sent(fake, source="zammad")
    sent(fake, source="ticketing")
    assert len(tickets(browser.get("/feed"))) == 2
    answer = browser.get("/feed?source=zammad")
    assert tickets(answer) == ["TCK-1"]
    assert '<option value="zammad" selected>' in answer.raw
    assert "/feed/events?source=zammad" in answer.raw


def test_records_from_before_sources_were_kept_offer_no_choice(
    fake: FakeDeployment, browser: Browser
) -> None:
    sent(fake)
    assert 'name="source"' not in browser.get("/feed").raw
