"""What happens between login and live delivery: our name, the prekeys, going active."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from tocsin.connector.aws import Aws
from tocsin.connector.socket import Line
from tocsin.keys.account import Credentials
from tocsin.keys.prekeys import prekeys_to_add
from tocsin.keys.store import KeyStore
from tocsin.whatsapp import iq
from tocsin.whatsapp.device_keys import DeviceKeys, Login
from tocsin.whatsapp.errors import InvalidStanza
from tocsin.whatsapp.events import LoggedIn
from tocsin.whatsapp.iq import IqRefused
from tocsin.whatsapp.jid import JID

log = logging.getLogger(__name__)

UPLOAD_PAUSES: Final = (1.0, 2.0, 4.0)


def device_keys(credentials: Credentials, *, routing: bool = True) -> DeviceKeys:
    """The account as the connection wants it; unpaired it offers to be paired."""
    login = None
    if credentials.jid is not None:
        login = Login(
            JID.parse(credentials.jid),
            JID.parse(credentials.lid) if credentials.lid else None,
            credentials.login_counter,
            credentials.push_name or None,
        )
    return DeviceKeys(
        credentials.noise,
        credentials.identity,
        credentials.registration_id,
        credentials.signed_prekey,
        credentials.adv_secret,
        login,
        credentials.routing_info if routing else None,
    )


async def save_lid(aws: Aws, keys: KeyStore, credentials: Credentials, event: LoggedIn) -> None:
    """Remember as whom we logged in, if that is news: the own LID may be told here first."""
    if event.lid is not None and str(event.lid) != credentials.lid:
        await aws.call(keys.account.save_lid, str(event.lid))
        if credentials.jid is not None:
            await aws.call(keys.contacts.learn_own, str(JID.parse(credentials.jid).bare), str(event.lid.bare))


async def count_login(aws: Aws, keys: KeyStore, credentials: Credentials) -> None:
    """Remember that we logged in once more."""
    await aws.call(keys.account.save_login_counter, credentials.incarnation, credentials.login_counter + 1)


async def served_prekeys(line: Line) -> int:
    """How many the server has. Raises `WireError`, and as `Line.request`."""
    return iq.parse_prekey_count(await line.request(iq.prekey_count()))


async def check_prekeys(
    aws: Aws,
    keys: KeyStore,
    credentials: Credentials,
    line: Line,
    *,
    count: int | None = None,
    asked: bool = False,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Upload one-time prekeys if the server has few (`count`: as it told; else it is asked), or we have few:
    after a reset the server offers what nobody can open any more. `asked`: the server wants more, however few
    it calls few.

    Their private halves are stored before the server hears of them. The signed prekey goes along as it is
    stored now, for it may have been rotated since this connection began. Raises what the last of four tries
    raised: the account can be connected without, but strangers' first messages may then not be readable.
    """
    if count is None:
        count = min(await asyncio.gather(served_prekeys(line), aws.call(keys.account.prekey_count)))
    wanted = prekeys_to_add(count, asked=asked)
    if not wanted:
        return
    offer = await aws.call(keys.account.prekeys_to_offer, wanted)
    credentials = await aws.call(keys.account.credentials)
    upload = iq.upload_prekeys(
        credentials.registration_id,
        credentials.identity.public,
        {prekey.id: prekey.pair.public for prekey in offer.prekeys},
        credentials.signed_prekey,
    )
    for pause in (*UPLOAD_PAUSES, None):
        try:
            iq.checked(await line.request(upload))
            break
        except (IqRefused, InvalidStanza, TimeoutError):
            if pause is None:
                raise
            await sleep(pause)
    await aws.call(keys.account.note_offered, offer, credentials.incarnation)
    log.info("prekeys uploaded", extra={"account": credentials.account, "count": len(offer.prekeys)})
