"""The two secrets: one unseals key material, one seals and opens texts. Each is fetched when it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from tocsin.bootstrap.later import Later

if TYPE_CHECKING:
    from tocsin.notify.config import StoreConfig
    from tocsin.notify.store.texts import Texts
    from tocsin.sealing import RecordSealer, Sealer


def secrets_client() -> Later:
    """One client, so one connection, for both secrets. One request for both (BatchGetSecretValue) would need
    a right on every secret of the AWS account: IAM knows no narrower resource for it."""
    return Later("secretsmanager")


def unsealing(secrets: Later, stores: StoreConfig) -> Callable[[], Sealer]:
    """Return what fetches the sealing key when it is first wanted. The key stays in memory: it never changes,
    and without it no record is readable."""

    @cache
    def read_sealer() -> Sealer:
        from tocsin.sealing import Sealer

        return Sealer.from_secret(_secret(secrets, stores.sealing_secret_arn))

    return read_sealer


def sealed_texts(secrets: Later, secret_arn: str) -> Texts:
    """Return what seals and opens texts with the key of this secret."""
    from tocsin.notify.store.texts import Texts

    return Texts(_record_sealer(secrets, secret_arn))


def _record_sealer(secrets: Later, secret_arn: str) -> Callable[[], RecordSealer]:
    """Return what fetches the key of the texts when the first one is opened or sealed."""

    @cache
    def read_sealer() -> RecordSealer:
        from tocsin.sealing import RecordSealer

        return RecordSealer.from_secret(_secret(secrets, secret_arn))

    return read_sealer


def _secret(secrets: Later, arn: str) -> str:
    text: str = secrets.get_secret_value(SecretId=arn)["SecretString"]
    return text
