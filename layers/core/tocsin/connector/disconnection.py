"""What is told and kept of the end of a connection that keeps an account from its work."""

from __future__ import annotations

import logging
import time

from tocsin.accounts.login_refusal import refusal_of
from tocsin.accounts.state import AccountState
from tocsin.connector.context import ConnectorContext
from tocsin.connector.gateway.status import AccountStatus
from tocsin.keys.store import KeyStore
from tocsin.timestamps import iso
from tocsin.whatsapp.encoder import encode
from tocsin.whatsapp.node import Node
from tocsin.whatsapp.reaction import Reaction

log = logging.getLogger(__name__)


def detail_of(ended: Reaction) -> str:
    """Why it ended, for the operator."""
    return f"{ended.reason}: {ended.detail}" if ended.detail else ended.reason


async def report(context: ConnectorContext, status: AccountStatus, ended: Reaction) -> None:
    """Tell the operator: in the lease, on the bus and in the log. The metric follows the state. Raises
    LeaseLost."""
    account = status.account
    log.error(
        "account disconnected",
        extra={
            "account": account,
            "state": ended.state,
            "reason": ended.reason,
            "detail": ended.detail,
        },
    )
    detail = detail_of(ended)
    await status.set(AccountState(ended.state), detail)
    status.until = time.time() + ended.seconds if ended.seconds else None
    await context.notices.disconnected(account, ended.state, detail, until=status.until)


async def keep_refusal(
    context: ConnectorContext, keys: KeyStore, account: str, ended: Reaction, stanza: Node
) -> None:
    """What WhatsApp says of a ban or a lock is said once: keep all of it, and tell what it means."""
    until = int(time.time() + ended.seconds) if ended.seconds is not None else None
    told = {name: str(value) for name, value in stanza.attrs.items()}
    refusal = refusal_of(told.get("reason", ""), told, int(time.time()), until, guessed=ended.guessed)
    try:
        await context.aws.call(keys.account.note_login_refusal, refusal, encode(stanza))
    except Exception:
        log.exception("what WhatsApp said can't be kept", extra={"account": account})
    if until is not None:
        facts = {"code": told.get("code"), "reason": ended.detail, "until": iso(until * 1000)}
        await context.notices.tell("AccountBanned", account, {**facts, "guessed": ended.guessed})
        return
    facts = {
        "reason": ended.reason,
        "violation_reason": refusal.told.get("violation_reason"),
        "message": refusal.told.get("message"),
        "url": refusal.told.get("url"),
    }
    await context.notices.tell("AccountLocked", account, {**facts, "can_appeal": refusal.can_appeal})
