"""A deployed stack as the console sees it: its outputs, and AWS clients with the operator's own rights."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from tocsin.accounts.served_accounts import ServedAccounts
from tocsin.dynamo.table import DynamoTable
from tocsin.notify.config import RETENTION_DAYS
from tocsin_console.errors import ConsoleError, NotFound, Usage
from tocsin_console.look import SqsQueue
from tocsin_console.stack_states import mend, state_of

if TYPE_CHECKING:
    from tocsin.keys.store import KeyStore
    from tocsin.notify.redrive import Redriver
    from tocsin.notify.refused_events import RefusedEvents
    from tocsin.notify.store.stores import Stores
    from tocsin.sealing import RecordSealer, Sealer
    from tocsin.settings.reader import SettingsReader
    from tocsin_console.account_names import AccountNames

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 30
"""Longer than the longest poll, and short enough that the command does not seem to hang."""

# Who may read the secret but not use its KMS key is refused by the same name.
NO_RIGHT = frozenset({"AccessDenied", "AccessDeniedException"})
_TRIES = 4


_MAKING = threading.Lock()
"""A session makes one client at a time."""


def _without_outputs(stack: str, status: str) -> str:
    state, what = state_of(status), mend(status, stack)
    told = "; ".join([state.means] * bool(state.means) + [what] * bool(what))
    return f"the stack '{stack}' is {status}: it has no outputs (yet)" + (f"; {told}" if told else "")


DOOR_URL = "TOCSIN_DOOR_URL"
"""Where the door of an emulator's stack answers: its output names AWS, which knows nothing of it."""


def with_local_door(outputs: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The outputs of an emulator's stack; those of one without a door have none."""
    told = {name: environment.get(DOOR_URL, url) for name, url in outputs.items() if name == "DoorUrl"}
    return {**outputs, **told}


@dataclass(frozen=True)
class Place:
    """Where a stack is, or is to be: for what needs none to be there yet."""

    stack: str
    session: Session
    region: str
    endpoint_url: str | None = None

    @classmethod
    def of(
        cls, stack: str, *, region: str | None, endpoint_url: str | None, profile: str | None = None
    ) -> Place:
        """Raises Usage, and botocore's own errors."""
        session = Session(profile=profile)
        if region is not None:
            session.set_config_variable("region", region)
        region = session.get_config_variable("region")
        if region is None:
            raise Usage("no AWS region: pass --region, or set AWS_REGION or a profile with a region")
        return cls(stack, session, region, endpoint_url)

    @property
    def is_emulated(self) -> bool:
        """An emulator answers: --endpoint-url names it, or AWS_ENDPOINT_URL, which botocore reads itself."""
        return bool(self.endpoint_url or os.environ.get("AWS_ENDPOINT_URL"))

    def client(self, service: str) -> Any:
        return _client(self.session, service, self.endpoint_url)

    def look(self) -> dict[str, Any] | None:
        """What CloudFormation says of the stack; None if there is none. Raises botocore's own errors."""
        try:
            found: dict[str, Any] = self.client("cloudformation").describe_stacks(StackName=self.stack)[
                "Stacks"
            ][0]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            return None
        return found

    def free_executions(self) -> int | None:
        """How many functions Lambda runs at once in the account, less what is reserved; None if that can't be
        seen, without the right or without credentials: who checks before a deployment tells of that."""
        try:
            told = self.client("lambda").get_account_settings()["AccountLimit"]
        except (BotoCoreError, ClientError):
            return None
        return int(told["UnreservedConcurrentExecutions"])

    def former_defaults(self) -> dict[str, str]:
        """The defaults of the parameters in the template that the stack was deployed with; without the right
        to ask, none. Raises botocore's own errors."""
        try:
            told = self.client("cloudformation").get_template_summary(StackName=self.stack)
        except ClientError:
            return {}
        return {
            one["ParameterKey"]: one["DefaultValue"]
            for one in told.get("Parameters", ())
            if "DefaultValue" in one
        }


@dataclass(frozen=True)
class Deployment:
    """`outputs` of the stack: names and addresses; `parameters`: what it was deployed with.
    Clients are made when first used, and what reads keys is imported then: most commands need none.
    botocore without boto3 starts a command in two thirds of the time."""

    stack: str
    outputs: Mapping[str, str]
    session: Session
    endpoint_url: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def find(
        cls, stack: str, *, region: str | None, endpoint_url: str | None, profile: str | None = None
    ) -> Deployment:
        """Read a stack's outputs and parameters. Raises NotFound, Usage, and botocore's own errors."""
        return cls.at(Place.of(stack, region=region, endpoint_url=endpoint_url, profile=profile))

    @classmethod
    def at(cls, place: Place) -> Deployment:
        """Raises as `find`."""
        stack, found = place.stack, place.look()
        if found is None:
            raise NotFound(
                f"there is no stack '{stack}' in {place.region}: pass --stack and --region as in "
                "samconfig.toml, or deploy it with 'tocsin deploy'"
            )
        outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
        if not outputs:
            raise NotFound(_without_outputs(stack, found["StackStatus"]))
        parameters = {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", [])}
        if place.is_emulated:
            outputs = with_local_door(outputs, os.environ)
        return cls(stack, outputs, place.session, place.endpoint_url, parameters)

    @classmethod
    def without_stack(
        cls, stack: str, *, region: str | None, endpoint_url: str | None, profile: str | None = None
    ) -> Deployment:
        """One that isn't there (yet, or any more): it has clients, and no outputs. Its region may have to be
        asked for."""
        session = Session(profile=profile)
        if region is not None:
            session.set_config_variable("region", region)
        return cls(stack, {}, session, endpoint_url)

    @property
    def place(self) -> Place:
        """Where it is, or is to be; its region is empty if nobody said it."""
        region = self.session.get_config_variable("region") or ""
        return Place(self.stack, self.session, region, self.endpoint_url)

    def __getitem__(self, output: str) -> str:
        try:
            return self.outputs[output]
        except KeyError:
            raise ConsoleError(
                f"the stack '{self.stack}' has no output '{output}': it is another stack, or an older "
                "version of Tocsin; deploy it again"
            ) from None

    def client(self, service: str) -> Any:
        return _client(self.session, service, self.endpoint_url)

    @cached_property
    def names(self) -> AccountNames:
        """How accounts are called, with their numbers."""
        from tocsin_console.account_names import AccountNames

        return AccountNames(lambda: self.keys_table, lambda: self.named_accounts)

    @cached_property
    def caller(self) -> str:
        """Who has these credentials, as AWS calls them. Raises botocore's own errors."""
        arn: str = self.client("sts").get_caller_identity()["Arn"]
        return arn.split(":", 5)[-1]

    @property
    def named_accounts(self) -> list[str]:
        """The accounts that the stack's parameter names."""
        return [name.strip() for name in self["Accounts"].split(",") if name.strip()]

    @property
    def accounts(self) -> list[str]:
        """All accounts that are served: those of the parameter, then those that were added."""
        return list(ServedAccounts(self.named_accounts, self.outside_table).read())

    def account(self, name: str | None) -> str:
        """The account with this name, or the only one if `name` is None. Raises Usage, NotFound."""
        served = self.accounts
        if name is None:
            if len(served) == 1:
                return served[0]
            raise Usage(f"this stack serves several accounts, choose one: --account {'|'.join(served)}")
        if name not in served:
            raise NotFound(
                f"this stack doesn't serve the account '{name}' (it serves {', '.join(served)}); "
                f"add it: tocsin accounts add {name}"
            )
        return name

    @property
    def default_area(self) -> str:
        """The area code of phone numbers that are written without one; empty if they are refused."""
        return self.parameters.get("DefaultArea", "")

    def phone(self, written: str) -> str:
        """The digits of a phone number (E.164), read as the functions read it. Raises InvalidPhone."""
        from tocsin.people.numbers import normalise_phone

        return normalise_phone(written, self["DefaultRegion"], self.default_area)

    def is_phone(self, written: str) -> bool:
        """Whether somebody may have this phone number."""
        from tocsin.people.numbers import InvalidPhone

        try:
            return bool(self.phone(written))
        except InvalidPhone:
            return False

    @property
    def attachments_bucket(self) -> str:
        """The bucket with the files that events attach; empty if there is none."""
        return self.parameters.get("AttachmentsBucket", "")

    @cached_property
    def settings(self) -> SettingsReader:
        """The settings in force, as functions and connector read them."""
        from tocsin.settings.reader import SettingsReader

        return SettingsReader(self.outside_table)

    @property
    def retention_days(self) -> int:
        """How long this deployment keeps a record."""
        return int(self.parameters.get("RetentionDays", RETENTION_DAYS))

    @cached_property
    def dynamodb(self) -> Any:
        return self.client("dynamodb")

    @cached_property
    def sqs(self) -> Any:
        return self.client("sqs")

    @cached_property
    def keys_table(self) -> DynamoTable:
        return DynamoTable(self.dynamodb, self["KeysTable"])

    @cached_property
    def outside_table(self) -> DynamoTable:
        """The notifications table, where the key store records its high-water mark."""
        return DynamoTable(self.dynamodb, self["NotificationsTable"])

    @property
    def glance_table(self) -> DynamoTable:
        """The same for glances: reads may be some moments old, and cost half."""
        return DynamoTable(self.dynamodb, self["NotificationsTable"], consistent=False)

    @property
    def streams(self) -> Any:
        """The changes of tables."""
        return self.client("dynamodbstreams")

    @cached_property
    def stores(self) -> Stores:
        """What the notifications table holds, by kind."""
        from tocsin.notify.store.stores import Stores
        from tocsin.notify.store.texts import Texts

        return Stores(
            self.outside_table,
            self.keys_table,
            texts=Texts(lambda: self.record_sealer, hides_sensitive=True),
            retention_days=self.retention_days,
        )

    def redriver(
        self, clock: Callable[[], float] = time.time, seen: Callable[[int], None] = lambda count: None
    ) -> Redriver:
        """`seen`: hears how many letters came to light."""
        from tocsin.notify.queues import NotificationsQueue
        from tocsin.notify.redrive import Redriver

        return Redriver(
            self.stores.notifications,
            SqsQueue(self.sqs, self["DeadLettersQueueUrl"], seen),
            NotificationsQueue(self.sqs, self["NotificationsQueueUrl"]),
            settings=self.settings,
            clock=clock,
        )

    @property
    def refused_events(self) -> RefusedEvents:
        from tocsin.notify.refused_events import RefusedEvents

        planner = self["TicketEventsQueueUrl"]
        return RefusedEvents(
            SqsQueue(self.sqs, self["TicketEventsDeadQueueUrl"]),
            lambda body: self.sqs.send_message(QueueUrl=planner, MessageBody=body),
        )

    def key_store(self, account: str) -> KeyStore:
        from tocsin.keys.store import KeyStore

        return KeyStore(self.keys_table, self.sealer, account)

    @cached_property
    def sealer(self) -> Sealer:
        from tocsin.sealing import Sealer

        return Sealer.from_secret(self._secret(self["SealingSecretArn"]))

    @cached_property
    def record_sealer(self) -> RecordSealer | None:
        """What opens the texts; None for an operator without the right to its secret, who sees everything
        else. Also None in a deployment from before texts were sealed."""
        from tocsin.sealing import RecordSealer

        try:
            arn = self.outputs.get("TextsSecretArn")
            return RecordSealer.from_secret(self._secret(arn)) if arn else None
        except ClientError as error:
            if error.response["Error"]["Code"] not in NO_RIGHT:
                raise
            return None

    def _secret(self, arn: str) -> str:
        text: str = self.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
        return text


def _client(session: Session, service: str, endpoint_url: str | None) -> Any:
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "max_attempts": _TRIES},
    )
    with _MAKING:
        return session.create_client(service, endpoint_url=endpoint_url, config=config)
