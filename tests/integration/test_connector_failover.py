"""Two connectors, one account: killed, told to go, frozen. Nothing is lost or doubled, nobody fights."""

from __future__ import annotations

import ssl
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Thread
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.support.addresses import has_ipv6_loopback
from tests.support.connector_processes import OWN, SITI, Process, RunningConnectors, eventually
from tocsin.connector_client.errors import (
    AckTimeout,
    ConnectorAway,
    ConnectorError,
    LeaseMoved,
    NotConnected,
    Resuming,
)
from tocsin.keys.account import AccountProfile
from tocsin.whatsapp import iq
from tocsin.whatsapp.jid import JID
from tocsin.whatsapp.node import Node

pytestmark = [pytest.mark.integration, pytest.mark.faults]


LONG_ENOUGH = 60
"""Seconds after which a test has failed."""


@dataclass
class Correspondence:
    """Siti writes to the account without pause, and a Lambda sends to Siti without pause, until stopped.

    `acked`: ids of messages whose ack the Lambda saw. Whatever failed it repeats under the same id.
    """

    connectors: RunningConnectors
    profile: AccountProfile
    acked: list[str] = field(default_factory=list)
    errors: Counter[type[ConnectorError]] = field(default_factory=Counter)
    written: int = 0
    _over: Event = field(default_factory=Event)
    _threads: list[Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [Thread(target=work, daemon=True) for work in (self._write, self._send)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _write(self) -> None:
        while not self._over.wait(0.2):
            self.connectors.phones.write(SITI, OWN, f"text {self.written}")
            self.written += 1

    def _send(self) -> None:
        client, lid = self.connectors.client(), JID.parse(self.connectors.phones.phone(SITI)["lid"])
        number = 0
        while not self._over.wait(0.1):
            message_id = f"3EB0{number:012X}"
            enc = Node("enc", {"v": "2", "type": "msg"}, b"\x33" + number.to_bytes(60, "big"))
            to = Node("participants", {}, (Node("to", {"jid": lid}, (enc,)),))
            node = Node("message", {"id": message_id, "to": lid, "type": "text"}, (to,))
            try:
                client.send_message(self.profile, node)
            except (ConnectorAway, NotConnected, Resuming, LeaseMoved, AckTimeout) as exc:
                self.errors[type(exc)] += 1
                continue
            self.acked.append(message_id)
            number += 1

    def assert_nothing_lost_or_doubled(self) -> None:
        """Every text Siti wrote lies in the queue once, in order; what was acked did go out."""
        collected: list[str] = []

        def all_there() -> bool:
            stanzas = self.connectors.stanzas()
            collected.extend(node.attr_str("id") for node in stanzas if node.tag == "message")
            return len(collected) >= self.written

        eventually(all_there, f"{len(collected)} of {self.written}", LONG_ENOUGH)
        assert collected == [entry["id"] for entry in self.connectors.phones.mailbox(SITI)["sent"]]
        routed = Counter(event["id"] for event in self.connectors.phones.events(kind="message")[0])
        assert all(routed[message_id] >= 1 for message_id in self.acked)


IPV4, IPV6 = "127.0.0.1", "::1"


def two_connectors(
    connectors: RunningConnectors, first: str = IPV4, standby_at: str = IPV4
) -> AccountProfile:
    """One that is connected and one that stands by, at these addresses."""
    connectors.start(CONNECTOR_HOST=first)
    profile = connectors.pair(OWN)
    standby = connectors.start(CONNECTOR_HOST=standby_at)
    standby.wait_until_said("standing by")
    return profile


def lease_taken_at(process: Process) -> datetime:
    """When the connector took its last lease, by its own log."""
    [*_, last] = [line["timestamp"] for line in process.lines() if line.get("message") == "lease taken"]
    return datetime.fromisoformat(last)


def test_killed_it_is_followed_soon_after_its_lease_and_nothing_is_lost_or_doubled(
    connectors: RunningConnectors,
) -> None:
    profile = two_connectors(connectors)
    traffic = Correspondence(connectors, profile)
    traffic.start()
    eventually(lambda: len(traffic.acked) > 5, "no traffic")
    before = connectors.lease()
    connectors.processes[0].kill()
    killed = time.monotonic()
    eventually(
        lambda: connectors.lease().epoch > before.epoch and connectors.lease().state == "connected",
        "nobody took over",
        LONG_ENOUGH,
    )
    took = time.monotonic() - killed
    count = len(traffic.acked)
    eventually(lambda: len(traffic.acked) > count + 5, "the new one doesn't serve")
    traffic.stop()
    print(f"takeover {took:.1f} s; errors meanwhile {dict(traffic.errors)}")
    traffic.assert_nothing_lost_or_doubled()


@pytest.mark.parametrize(
    ("first", "successor"),
    [
        pytest.param(IPV4, IPV4, id="as ever"),
        pytest.param(IPV4, IPV6, id="ConnectorNetwork becomes ipv6"),
        pytest.param(IPV6, IPV4, id="and ipv4 again"),
    ],
)
def test_told_to_go_it_hands_over_at_once(connectors: RunningConnectors, first: str, successor: str) -> None:
    if IPV6 in (first, successor) and not has_ipv6_loopback():
        pytest.skip("this machine has no IPv6")
    profile = two_connectors(connectors, first, successor)
    traffic = Correspondence(connectors, profile)
    traffic.start()
    eventually(lambda: len(traffic.acked) > 5, "no traffic")
    told, at = time.monotonic(), datetime.now(UTC)
    holder = connectors.lease().connector
    assert connectors.processes[0].terminate() == 0
    assert connectors.lease().connector != holder, "it left its lease to run out"
    gone = time.monotonic() - told
    eventually(
        lambda: connectors.lease().epoch == 2 and connectors.lease().state == "connected",
        "nobody took over",
        LONG_ENOUGH,
    )
    took = time.monotonic() - told
    count = len(traffic.acked)
    eventually(lambda: len(traffic.acked) > count + 5, "the new one doesn't serve")
    traffic.stop()
    here = connectors.whereabouts()
    assert here is not None
    assert urlsplit(here.url).hostname == successor
    handed = (lease_taken_at(connectors.processes[1]) - at).total_seconds()
    print(
        f"handed over after {handed:.2f} s, gone after {gone:.2f} s, connected after {took:.2f} s; "
        f"errors {dict(traffic.errors)}"
    )
    traffic.assert_nothing_lost_or_doubled()


def test_a_frozen_holder_that_wakes_up_late_stays_silent(connectors: RunningConnectors) -> None:
    profile = two_connectors(connectors)
    frozen = connectors.processes[0]
    frozen.pause()
    eventually(
        lambda: connectors.lease().epoch == 2 and connectors.lease().state == "connected",
        "no takeover",
        LONG_ENOUGH,
    )
    logins = len(connectors.phones.events(kind="login")[0])
    connectors.phones.write(SITI, OWN, "while it slept")
    frozen.go_on()
    frozen.wait_until_said("lease lost")
    frozen.wait_until_said("standing by")
    time.sleep(2)
    assert len(connectors.phones.events(kind="login")[0]) == logins
    assert connectors.lease().epoch == 2
    assert connectors.lease().state == "connected"
    connectors.client().request(profile, iq.prekey_count())


def test_a_standby_serves_nobody_and_answers_health(connectors: RunningConnectors) -> None:
    profile = two_connectors(connectors)
    standby = connectors.processes[1]
    started = next(line for line in standby.lines() if line.get("message") == "connector started")
    assert standby.popen.poll() is None

    anyone = ssl._create_unverified_context()  # noqa: S323  health is asked without trust
    url = f"{started['url']}/v1/health"
    with urlopen(url, context=anyone, timeout=LONG_ENOUGH) as answer:  # noqa: S310
        assert answer.status == 200
    assert connectors.client().request(profile, iq.prekey_count()).attrs["type"] == "result"
    assert not any("AccountsUnserved" in line for line in standby.lines())
