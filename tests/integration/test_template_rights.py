"""The main job with IAM enforced: every role may do what its code does, and nothing was forgotten.

A missing right shows as an end that never comes, and as a refusal in a log; the logs are asked at the end.
"""

from collections.abc import Iterator

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.stack import BUCKET, DESK, DeployedStack, Notice, Person, eventually, new_ticket
from tocsin.notify.notification import State
from tocsin_local.bootstrap import SAM
from tocsin_local.emulator import interpreter
from tocsin_local.world import World, world

pytestmark = [pytest.mark.integration, pytest.mark.e2e, pytest.mark.slow]

FUNCTIONS = (
    "plan_notifications",
    "send_notification",
    "receive_stanza",
    "publish_outcomes",
    "maintain_sessions",
)


# All that needs rights of its own is switched on.
PARAMETERS = {
    "AttachmentsBucket": BUCKET,
}
SETTINGS = {
    "retries": "1",
    "updates-as": "edit",
    "quote-first-message": "true",
    "acknowledge-replies": "👍",
}


@pytest.fixture(scope="module")
def enforced() -> Iterator[World]:
    if not (interpreter().exists() and (SAM / "bin" / "sam").exists()):
        pytest.skip("the emulator or the SAM CLI isn't installed: make setup")
    with world("rights", iam=True, parameters=PARAMETERS, settings=SETTINGS) as built:
        built.stack.client("s3").create_bucket(Bucket=BUCKET)
        yield built


@pytest.fixture(scope="module")
def linked(enforced: World) -> DeployedStack:
    """The account is linked, and its connector gone again."""
    deployed = DeployedStack(enforced)
    with enforced.connector():
        deployed.link()
    return deployed


@pytest.fixture(scope="module")
def parked(linked: DeployedStack) -> Notice:
    """A notification that waits for a connector."""
    notice = linked.tell(linked.person())
    linked.until(notice, State.WAITING)
    return notice


@pytest.fixture(scope="module")
def deployed(linked: DeployedStack, parked: Notice) -> Iterator[DeployedStack]:
    with linked.world.connector():
        linked.wait_for_account("connected")
        yield linked


def test_what_waited_is_resumed(deployed: DeployedStack, parked: Notice) -> None:
    deployed.until(parked, State.READ)
    deployed.nothing_is_lost(parked)


def test_a_ticket_event_is_read_and_its_outcomes_are_told(deployed: DeployedStack) -> None:
    siti = deployed.person()
    first, second = deployed.tell(siti), deployed.tell(siti)
    deployed.all_until([first, second], State.READ)
    deployed.nothing_is_lost(first, second)


def test_a_broken_session_heals(deployed: DeployedStack) -> None:
    siti = deployed.person()
    deployed.until(deployed.tell(siti), State.READ)
    deployed.phones.break_phone(siti.number, "corrupt-session")
    healed = deployed.tell(siti)
    deployed.until(healed, State.READ)
    deployed.nothing_is_lost(healed)


def test_an_opt_out_is_obeyed_and_confirmed(deployed: DeployedStack) -> None:
    siti = deployed.person()
    deployed.until(deployed.tell(siti), State.READ)
    before = len(deployed.phones.messages(siti.number))
    deployed.phones.write(siti.number, DESK, "STOP")
    eventually(lambda: len(deployed.phones.messages(siti.number)) > before, "the opt-out is confirmed")
    deployed.until(deployed.tell(siti), State.SUPPRESSED)


def test_a_file_is_read_from_the_bucket_and_from_no_other_place(deployed: DeployedStack) -> None:
    siti = deployed.person()
    s3 = deployed.stack.client("s3")
    s3.put_object(Bucket=BUCKET, Key="plan.pdf", Body=b"%PDF-1.7 a plan")
    [text] = deployed.put("TicketCreated", new_ticket(), customer=siti, attachments=[{"key": "plan.pdf"}])
    file = deployed.file_of(text, "plan.pdf")
    deployed.until(file, State.READ)
    assert deployed.phones.file(siti.number, file.message_id) == b"%PDF-1.7 a plan"
    [text] = deployed.put("TicketCreated", new_ticket(), customer=siti, attachments=[{"key": "none.pdf"}])
    assert deployed.letter(deployed.file_of(text, "none.pdf")).reason == "attachment-missing"


def test_an_update_edits_and_an_answer_gets_its_reaction(deployed: DeployedStack) -> None:
    siti, ticket = deployed.person(), new_ticket()
    [created] = deployed.put("TicketCreated", ticket, customer=siti)
    deployed.until(created, State.READ)
    deployed.put("TicketUpdated", {**ticket, "revision": 2}, customer=siti)
    eventually(lambda: (deployed.shown(created) or {})["edited"], "the message is not edited")
    sent = deployed.phones.write(siti.number, DESK, "thank you")
    deployed.phones.wait_until(
        lambda: any(
            one["id"] == sent["id"] and one["reactions"]
            for one in deployed.phones.mailbox(siti.number)["sent"]
        ),
        "no reaction",
    )


def test_nobody_on_whatsapp_is_a_dead_letter(deployed: DeployedStack) -> None:
    deployed.letter(deployed.tell(Person("6281999999999", "Nobody", "id")))


def test_no_log_tells_of_a_refusal(deployed: DeployedStack) -> None:
    refused = {
        function: [
            line for line in deployed.stack.function_logs(function).splitlines() if "AccessDenied" in line
        ]
        for function in FUNCTIONS
    }
    logs = sorted(deployed.world.folder.glob("connector-*.log"))
    refused |= {
        log.name: [line for line in log.read_text().splitlines() if "AccessDenied" in line] for log in logs
    }
    assert refused == {name: [] for name in refused}


def test_rights_are_really_asked_for(enforced: World) -> None:
    environment = enforced.stack.connector_environment()
    connector = boto3.Session(
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    )
    sqs = connector.client("sqs", endpoint_url=enforced.stack.aws.url)
    with pytest.raises(ClientError, match="not authorized"):
        sqs.receive_message(QueueUrl=enforced.stack.outputs["NotificationsQueueUrl"])
