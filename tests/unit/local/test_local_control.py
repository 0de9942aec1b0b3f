"""The control API: every mistake is answered with what to do, and whoever waits is answered at once."""

import json
import os
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.local_server import BUDI, SITI
from tocsin_whatsapp_server.certificates import BadRootKeyFile, load_root_key
from tocsin_whatsapp_server.control_client import ControlClient, ControlError, LocalWhatsApp, WaitedTooLong
from tocsin_whatsapp_server.control_client import _environment as environment


@pytest.fixture(scope="module")
def whatsapp():
    with LocalWhatsApp.start() as server:
        server.control.add_phone("+62 812-0000-0001", "Siti")
        server.control.add_phone(BUDI, "Budi")
        yield server


@pytest.fixture
def control(whatsapp) -> ControlClient:
    return whatsapp.control


def test_a_phone_is_known_by_its_digits(control):
    phone = control.phone(SITI)
    assert (phone["number"], phone["name"], phone["jid"]) == (SITI, "Siti", f"{SITI}@s.whatsapp.net")
    assert phone["lid"].endswith("@lid")
    assert phone["online"]


def test_health_names_what_a_client_needs(whatsapp, control):
    health = control.health()
    assert (health["ok"], health["url"]) == (True, whatsapp.url)
    assert health["root_public_key"] == whatsapp.root_public_key


def test_a_message_is_sent_seen_and_read(control):
    sent = control.write(SITI, BUDI, "selamat pagi")
    shown = control.wait_for_text(BUDI, "selamat pagi")
    assert (shown["id"], shown["sender"], shown["times_received"]) == (sent["id"], SITI, 1)
    control.read(BUDI, sent["id"])
    assert control.mailbox(SITI)["sent"][-1]["read"] == [f"{BUDI}:0"]


def test_who_waits_is_answered_when_it_happens(control):
    seen = {number: len(control.messages(number)) for number in (SITI, BUDI)}
    with ThreadPoolExecutor() as pool:
        other = pool.submit(control.messages, SITI, after=seen[SITI], wait=60)
        writing = threading.Timer(0.2, control.write, (SITI, BUDI, "finally"))
        writing.start()
        (message,) = control.messages(BUDI, after=seen[BUDI], wait=60)
        assert message["text"] == "finally"
        assert not other.done(), "answered when the wait was over"
        control.write(BUDI, SITI, "you, too")


def test_who_waits_in_vain_gets_nothing_after_the_time(control):
    assert control.messages(BUDI, after=10_000, wait=0.1) == []
    with pytest.raises(WaitedTooLong, match="never said"):
        control.wait_for_text(BUDI, "never said", seconds=0.1)


def test_events_can_be_followed(control):
    _, last = control.events()
    control.write(SITI, BUDI, "an event")
    events, newest = control.events(last, kind="phone-message")
    assert [event["text"] for event in events] == ["an event"]
    assert newest == events[-1]["number"]


@pytest.mark.parametrize(
    ("call", "status", "said"),
    [
        (lambda c: c.add_phone(SITI, "again"), 409, "exists already"),
        (lambda c: c.add_phone("0812", "local"), 400, "international form"),
        (lambda c: c.phone("629"), 404, "POST /phones"),
        (lambda c: c.link(SITI, "hello"), 409, "not a linking QR code"),
        (lambda c: c.link(SITI, "a," + ",".join(["AAAA"] * 3)), 409, "32 bytes"),
        (lambda c: c.link(SITI, "REF" + f",{'A' * 43}=" * 3), 409, "show a fresh one"),
        (lambda c: c.link_by_code(SITI, "ABC"), 409, "eight letters"),
        (lambda c: c.link_by_code(SITI, "ABCD-EFGH"), 409, "no client has asked"),
        (lambda c: c.unlink(SITI, 7), 400, "linked now: none"),
        (lambda c: c.write(SITI, "6299999999", "hello"), 404, "no phone with the number"),
        (lambda c: c.write(SITI, BUDI, ""), 400, "text must not be empty"),
        (lambda c: c.break_phone(SITI, "earthquake"), 400, "known: forget-session"),
        (lambda c: c.inject("earthquake"), 400, "known: drop"),
        (lambda c: c._call("POST", "/phones", {"number": 7, "color": "red"}), 400, "name is missing"),
        (lambda c: c._call("POST", f"/phones/{SITI}/link", {}), 400, "either qr"),
        (lambda c: c._call("GET", "/nowhere"), 404, "no such page"),
        (lambda c: c._call("DELETE", "/audit"), 405, "takes GET"),
        (lambda c: c.messages(SITI, after=-1), 400, "after must be a number"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(control, call, status, said):
    with pytest.raises(ControlError) as refused:
        call(control)
    assert refused.value.status == status
    assert said in refused.value.text


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b"\xff\xfe"])
def test_a_body_that_is_no_object_is_refused(control, body):
    request = urllib.request.Request(control.url + "/faults", method="POST", data=body)  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)  # noqa: S310
    assert refused.value.code == 400
    assert "JSON" in json.load(refused.value)["error"]


def test_faults_are_listed_and_cleared(control):
    fault = control.inject("ack-error", code=463, account="+" + SITI, n=3)
    assert control.faults()["waiting"] == [
        {"id": fault["id"], "kind": "ack-error", "account": SITI, "code": 463, "left": 3}
    ]
    assert "seconds" in control.faults()["kinds"]["delay"]["parameters"]
    assert control.clear_faults(fault["id"]) == 1
    assert control._call("POST", "/faults", {"kind": "clear"}) == {"cleared": 0}


def test_a_phone_can_be_taken_away_and_brought_back(control):
    assert not control.break_phone(BUDI, "offline")["online"]
    control.write(SITI, BUDI, "while away")
    assert control.phone(BUDI)["devices"][0]["queued"] == 1
    with pytest.raises(ControlError, match="offline"):
        control.write(BUDI, SITI, "I can't")
    assert control.break_phone(BUDI, "online")["online"]
    control.wait_for_text(BUDI, "while away")


def test_a_session_fault_says_how_many_it_hit(control):
    control.write(SITI, BUDI, "a session now exists")
    assert control.break_phone(BUDI, "corrupt-session", contact=SITI)["sessions"] == 1
    control.write(SITI, BUDI, "healed")
    assert control.wait_for_text(BUDI, "healed")["failures"] == ["BadMac"]


def test_the_audit_counts_per_account_and_finds_nothing_wrong(control):
    report = control.audit()
    assert report["accounts"][SITI]["ciphertexts"] >= 1
    assert report["message_keys_reused"] == report["prekeys_handed_out_twice"] == 0


def test_the_server_prints_one_line_and_ends_on_sigterm(tmp_path):
    command = [sys.executable, "-m", "tocsin_whatsapp_server", "--root-key-file", str(tmp_path / "root.key")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    ready = json.loads(process.stdout.readline())
    assert set(ready) == {"url", "control", "root_public_key", "media_certificate"}
    process.terminate()
    assert process.wait(60) == 0
    assert process.stdout.read() == ""


def test_without_its_packages_it_says_how_to_install_them(tmp_path):
    run = "from tocsin_whatsapp_server.__main__ import main; main([])"
    code = f"import sys; sys.modules['aiohttp'] = None; {run}"
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True)
    assert ended.stderr == b"tocsin-whatsapp: aiohttp isn't installed: pip install '.[local]'\n"


def test_the_server_ends_with_the_program_that_started_it():
    server = LocalWhatsApp.start()
    server.process.stdin.close()
    assert server.process.wait(60) == 0
    server.process.stdout.close()


def test_the_root_key_is_made_once_and_for_its_owner_only(tmp_path):
    path = tmp_path / "keys" / "root.key"
    made = load_root_key(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert load_root_key(path) == made


@pytest.mark.parametrize("text", ["", "not hex", "ab" * 31])
def test_a_spoilt_root_key_file_says_what_to_do(tmp_path, text):
    (tmp_path / "root.key").write_text(text)
    with pytest.raises(BadRootKeyFile, match="remove it"):
        load_root_key(tmp_path / "root.key")


def test_a_companion_in_the_server_reads_what_its_account_gets(control):
    device = control.add_companion(BUDI)
    sent = control.write(SITI, BUDI, "for both of your devices")
    shown = control.mailbox(BUDI, companion=device)["messages"]
    assert [(entry["id"], entry["times_received"]) for entry in shown] == [(sent["id"], 1)]
    assert control.mailbox(SITI)["sent"][-1]["delivered"] == [f"{BUDI}:0", f"{BUDI}:{device}"]


def test_a_companion_in_the_server_breaks_and_heals_alone(control):
    device = control.add_companion(BUDI)
    control.write(SITI, BUDI, "before")
    control.break_phone(BUDI, "corrupt-session", companion=device)
    control.write(SITI, BUDI, "after")
    *_, healed = control.mailbox(BUDI, companion=device)["messages"]
    assert (healed["text"], healed["failures"]) == ("after", ["BadMac"])
    *_, untouched = control.mailbox(BUDI)["messages"]
    assert (untouched["text"], untouched["failures"]) == ("after", [])


def test_a_companion_that_is_not_there_is_refused_with_those_that_are(control):
    with pytest.raises(ControlError, match="no companion 99 in this process"):
        control.mailbox(SITI, companion=99)


def test_a_group_is_made_written_to_and_left(control):
    control.add_phone("6281200000031", "Agus")
    group = control.add_group("Technicians", [SITI, BUDI])
    assert group.endswith("@g.us")
    control.add_members(group, "6281200000031", admin=True)
    control.write(SITI, group, "hello, all of you")
    for number in (BUDI, "6281200000031"):
        assert control.wait_for_text(number, "hello, all of you")["chat"] == group
    assert control.group(group)["admins"] == [SITI, "6281200000031"]
    control.remove_member(group, BUDI, leave=True)
    assert control.set_group(group, announcement=True, addressing_mode="pn")["members"] == [
        SITI,
        "6281200000031",
    ]
    assert control.wait_for_event("group", action="leave")["author"] == BUDI
    assert control.groups()[-1]["addressing_mode"] == "pn"


def test_what_is_wrong_with_a_group_is_said(control):
    for call, status in (
        (lambda: control.group("1203@g.us"), 404),
        (lambda: control.add_group("Nobody", []), 400),
        (lambda: control.add_group("Mode", [SITI], addressing_mode="x"), 400),
        (lambda: control.write(SITI, "1203@g.us", "hello?"), 404),
    ):
        with pytest.raises(ControlError) as refused:
            call()
        assert refused.value.status == status
