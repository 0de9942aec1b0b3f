"""Linking an account: what the operator sees while the connector answers, or doesn't."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.support.fake_deployment import ACCOUNT, NOW, Connector, FakeDeployment, Said, Script, Terminal
from tocsin.accounts import operator_requests
from tocsin.accounts.operator_requests import NOT_OURS
from tocsin.dynamo.writes import Item, Update
from tocsin.tables.keys import control_key
from tocsin_console import pair
from tocsin_console.errors import ConsoleError, Interrupted, TimedOut
from tocsin_console.output import Output, json_moment
from tocsin_console.pair import NO_CONNECTOR, POLL_SECONDS, Code, Hint, Offer, TypedCode, Void


@pytest.fixture
def connector(fake: FakeDeployment) -> Connector:
    """One that holds the account, which isn't linked."""
    connector = fake.connector()
    connector.says("unpaired", "link it: tocsin pair")
    return connector


def offered(
    fake: FakeDeployment,
    *steps: Callable[[], object],
    wait_seconds: float = 180,
    phone: str | None = None,
    now: float = NOW,
) -> list[Offer]:
    """All that is offered while `steps` happen, one at each look."""
    script = Script(list(steps), now)
    return list(
        pair.codes(
            fake.deployment,
            ACCOUNT,
            wait_seconds=wait_seconds,
            wishes=pair.Wishes(phone),
            sleep=script.sleep,
            clock=script.clock,
        )
    )


def test_each_new_code_is_shown_until_one_is_scanned(fake: FakeDeployment, connector: Connector) -> None:
    codes = offered(
        fake,
        lambda: connector.answers(qr="first", qr_expires_at=NOW + 60),
        lambda: None,
        lambda: connector.answers(qr="second", qr_expires_at=NOW + 80),
        lambda: connector.answers("connecting", "linked; logging in"),
    )
    assert codes == [Code("first", NOW + 60), Code("second", NOW + 80)]


def test_the_wish_is_written_for_the_connector_to_find(fake: FakeDeployment, connector: Connector) -> None:
    def look() -> None:
        asked = connector.asked()
        assert (asked.request, asked.phone) == ("pair", "6281100000001")
        connector.answers("connecting")

    offered(fake, look, phone="6281100000001")


def test_a_code_to_type_is_offered_where_it_was_asked_for(fake: FakeDeployment, connector: Connector) -> None:
    codes = offered(
        fake,
        lambda: connector.answers(pairing_code="ABCD1234", qr_expires_at=NOW + 180),
        lambda: connector.answers("connecting"),
        phone="6281100000001",
    )
    assert codes == [TypedCode("ABCD1234", NOW + 180)]


def test_hints_are_shown_once(fake: FakeDeployment, connector: Connector) -> None:
    codes = offered(
        fake,
        lambda: connector.answers(message="WhatsApp wants a passkey"),
        lambda: None,
        lambda: connector.answers("connecting"),
    )
    assert codes == [Hint("WhatsApp wants a passkey")]


def test_what_an_earlier_pairing_left_isnt_taken_for_an_answer(
    fake: FakeDeployment, connector: Connector
) -> None:
    connector.answers("unpaired", "no code was used in time")
    codes = offered(
        fake,
        lambda: connector.answers(qr="fresh", qr_expires_at=NOW + 60),
        lambda: connector.answers("connecting"),
    )
    assert codes == [Code("fresh", NOW + 60)]


def test_a_code_that_somebody_else_wrote_is_not_shown_and_the_operator_is_told(
    fake: FakeDeployment, connector: Connector
) -> None:
    """Whoever scans a stranger's code links their phone to the stranger."""

    def forge() -> None:
        forged: Item = {"qr": "evil", "state": "pairing", "shown": b"evil"}
        fake.deployment.keys_table.update(Update(control_key(ACCOUNT), set=forged))

    codes = offered(
        fake,
        forge,
        lambda: connector.answers(qr="ours", qr_expires_at=NOW + 60),
        lambda: connector.answers("connecting"),
    )
    assert codes == [Hint(NOT_OURS), Code("ours", NOW + 60)]


def test_a_code_that_died_with_its_connection_is_taken_from_the_screen(
    fake: FakeDeployment, connector: Connector
) -> None:
    seen = offered(
        fake,
        lambda: connector.answers(pairing_code="ABCD1234", qr_expires_at=NOW + 180),
        lambda: connector.answers(message="the connection was lost"),
        lambda: connector.answers(
            message="the connection was lost", pairing_code="EFGH5678", qr_expires_at=NOW + 200
        ),
        lambda: connector.answers("connecting"),
    )
    assert seen == [
        TypedCode("ABCD1234", NOW + 180),
        Void(),
        Hint("the connection was lost"),
        TypedCode("EFGH5678", NOW + 200),
    ]


def test_a_code_whose_connector_died_is_taken_from_the_screen_at_its_end(
    fake: FakeDeployment, connector: Connector
) -> None:
    script, seen = Script([lambda: connector.answers(qr="code", qr_expires_at=NOW + 40)]), list[Offer]()
    with pytest.raises(TimedOut):
        seen.extend(
            pair.codes(fake.deployment, ACCOUNT, wait_seconds=80, sleep=script.sleep, clock=script.clock)
        )
    assert [offer for offer in seen if not isinstance(offer, Hint)] == [Code("code", NOW + 40), Void()]


def test_a_code_whose_account_went_to_another_connector_is_said_to_be_dead(
    fake: FakeDeployment, connector: Connector
) -> None:
    """Nobody goes on with the request, which was taken up."""
    others: list[Connector] = []

    def leaves() -> None:
        connector.keeper.release(ACCOUNT, connector.epoch)
        others.append(fake.connector("c2"))
        others[0].says("unpaired", "link it: tocsin pair")

    with pytest.raises(ConsoleError) as ended:
        offered(fake, lambda: connector.answers(qr="code", qr_expires_at=NOW + 60), leaves)
    assert str(ended.value) == pair.GONE


def test_what_no_connector_took_up_is_withdrawn_with_the_command(fake: FakeDeployment) -> None:
    with pytest.raises(ConsoleError):
        offered(fake)
    assert operator_requests.read_request(fake.deployment.keys_table, ACCOUNT).what is None
    assert operator_requests.asked_accounts(fake.deployment.keys_table) == []


def test_a_refused_pairing_says_why(fake: FakeDeployment, connector: Connector) -> None:
    refusal = "WhatsApp ended the pairing: client-outdated"
    with pytest.raises(ConsoleError, match=f"wasn't linked: {refusal}"):
        offered(fake, lambda: connector.answers("unpaired", refusal))


@pytest.mark.parametrize("state", ["resuming", "connected", "restricted"])
def test_a_linked_account_isnt_linked_over(fake: FakeDeployment, connector: Connector, state: str) -> None:
    connector.says(state)
    with pytest.raises(ConsoleError, match=f"linked already \\({state}\\).*Linked devices"):
        offered(fake)
    assert operator_requests.read_request(fake.deployment.keys_table, ACCOUNT).what is None


def test_an_account_just_taken_up_is_given_time_to_say_what_it_is(fake: FakeDeployment) -> None:
    connector = fake.connector()  # a lease begins as `connecting`, linked or not
    codes = offered(
        fake,
        lambda: connector.says("unpaired"),
        lambda: connector.answers(qr="code", qr_expires_at=NOW + 60),
        lambda: connector.answers("connecting"),
    )
    assert codes == [Code("code", NOW + 60)]


def test_an_account_that_goes_on_connecting_is_linked(fake: FakeDeployment) -> None:
    connector = fake.connector()

    def beats() -> None:
        fake.now += POLL_SECONDS
        connector.keeper.beat()

    with pytest.raises(ConsoleError, match=r"linked already \(connecting\)"):
        offered(fake, *[beats] * 60)


def test_an_account_stays_linked_when_its_connector_dies(fake: FakeDeployment, connector: Connector) -> None:
    connector.says("connected")
    fake.now += 50
    with pytest.raises(ConsoleError, match=r"linked already \(unreachable\)"):
        offered(fake, now=fake.now)


def test_an_account_is_connected_while_its_connector_lives(
    fake: FakeDeployment, connector: Connector
) -> None:
    connector.says("connected")
    assert pair.connected(fake.deployment, ACCOUNT, clock=lambda: NOW + 5)
    assert not pair.connected(fake.deployment, ACCOUNT, clock=lambda: NOW + 50)


def test_without_a_connector_the_operator_is_told_and_it_is_waited_for(fake: FakeDeployment) -> None:
    """After `sam deploy` the task takes a minute to start."""
    made: list[Connector] = []
    starting = [lambda: None] * 40
    codes = offered(
        fake,
        *starting,
        lambda: made.append(fake.connector()),
        lambda: made[0].answers(qr="code", qr_expires_at=NOW + 60),
        lambda: made[0].answers("connecting"),
    )
    assert codes == [Hint(NO_CONNECTOR), Code("code", NOW + 60)]


def test_no_connector_at_all_is_an_error(fake: FakeDeployment) -> None:
    with pytest.raises(ConsoleError, match=r"is the service running\?"):
        offered(fake)


def test_a_connector_that_died_is_no_connector(fake: FakeDeployment, connector: Connector) -> None:
    del connector  # its heartbeat grows old while the clock goes on
    with pytest.raises(ConsoleError, match="no connector serves"):
        offered(fake)


def test_a_code_that_nobody_uses_times_out(fake: FakeDeployment, connector: Connector) -> None:
    with pytest.raises(TimedOut, match="run 'tocsin pair' again"):
        offered(fake, lambda: connector.answers(qr="code", qr_expires_at=NOW + 60), wait_seconds=30)


def paired(fake: FakeDeployment, said: Said, *steps: Callable[[], object]) -> None:
    """The command itself. `steps` happen while it sleeps."""
    script = Script(list(steps))
    pair.pair(
        fake.deployment,
        ACCOUNT,
        wait_seconds=60,
        output=said.output,
        sleep=script.sleep,
        clock=script.clock,
    )


def test_programs_get_codes_hints_and_the_end(fake: FakeDeployment, connector: Connector, told: Said) -> None:
    paired(
        fake,
        told,
        lambda: connector.answers(message="update WhatsApp"),
        lambda: connector.answers(qr="code", qr_expires_at=NOW + 60),
        lambda: connector.answers("connecting"),
        lambda: connector.says("connected"),
    )
    assert told.records == [
        {"account": ACCOUNT, "hint": "update WhatsApp"},
        {"account": ACCOUNT, "qr": "code", "expires_at": json_moment((NOW + 60) * 1000)},
        {"account": ACCOUNT, "state": "connected"},
    ]


def test_people_get_the_code_and_what_to_do_with_it(
    fake: FakeDeployment, connector: Connector, said: Said
) -> None:
    paired(
        fake,
        said,
        lambda: connector.answers(qr="code", qr_expires_at=NOW + 60),
        lambda: connector.answers("connecting"),
        lambda: connector.says("resuming"),
        lambda: connector.says("restricted"),
    )
    assert "█" in said.text
    assert "Linked devices" in said.text
    assert said.lines[-1].startswith("the account 'default' is linked and restricted; ")


def test_a_typed_code_is_shown_in_two_halves(fake: FakeDeployment, connector: Connector, said: Said) -> None:
    paired(
        fake,
        said,
        lambda: connector.answers(pairing_code="ABCD1234"),
        lambda: connector.answers("connecting"),
        lambda: connector.says("connected"),
    )
    assert "    ABCD-1234" in said.lines


def test_how_long_a_typed_code_counts_is_said_and_that_of_a_qr_that_another_follows(
    fake: FakeDeployment, connector: Connector, said: Said
) -> None:
    soon = int(time.time()) + 100
    paired(
        fake,
        said,
        lambda: connector.answers(qr="code", qr_expires_at=soon),
        lambda: connector.answers(pairing_code="ABCD1234", qr_expires_at=soon),
        lambda: connector.answers("connecting"),
        lambda: connector.says("connected"),
    )
    assert any(line.startswith("It is replaced in ") for line in said.lines)
    assert any(line.startswith("It can be typed in for ") for line in said.lines)


def test_an_account_unlinked_at_once_is_no_success(
    fake: FakeDeployment, connector: Connector, said: Said
) -> None:
    with pytest.raises(ConsoleError, match="is logged_out: device-removed"):
        paired(
            fake,
            said,
            lambda: connector.answers("connecting"),
            lambda: connector.says("logged_out", "device-removed"),
        )


def test_ctrl_c_says_what_goes_on(fake: FakeDeployment, connector: Connector, said: Said) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="nothing is linked") as caught:
        paired(fake, said, interrupt)
    assert caught.value.exit_code == 130


# -- the QR in a terminal ----------------------------------------------------------------------------------


QR = "https://wa.me/settings/linked_devices#2@" + ",".join(("x" * 90, "N" * 44, "I" * 44, "A" * 44, "1"))
"""As long as WhatsApp's."""


def screen_with(monkeypatch: pytest.MonkeyPatch, columns: int, lines: int, **environment: str) -> str:
    """What is drawn into a terminal of this size for a code."""
    sizes = {"COLUMNS": str(columns), "LINES": str(lines)}
    for name, value in {"NO_COLOR": "", **sizes, **environment}.items():
        monkeypatch.setenv(name, value)
    screen = Terminal()
    pair._Board(Output(stream=screen), ACCOUNT).show(Code(QR, NOW + 60))
    return screen.getvalue()


def test_where_the_code_has_room_it_is_drawn_and_nothing_else_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = screen_with(monkeypatch, 80, 60)
    assert "█" in drawn
    assert "--code" not in drawn


@pytest.mark.parametrize(("columns", "lines", "is_drawn"), [(80, 20, True), (50, 60, False)])
def test_where_it_has_none_the_code_to_type_is_offered(
    monkeypatch: pytest.MonkeyPatch, columns: int, lines: int, is_drawn: bool
) -> None:
    """One that is too high can be scrolled; one that is too wide is broken, and no phone can read it."""
    drawn = screen_with(monkeypatch, columns, lines)
    assert "tocsin pair --code PHONE" in drawn
    assert ("█" in drawn) == is_drawn


def test_whoever_wants_no_colours_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[38;5;16" in screen_with(monkeypatch, 80, 60)
    assert "\x1b[" not in screen_with(monkeypatch, 80, 60, NO_COLOR="1")
