"""After the connector refused a message key that it has seen before: the chain is given up, whoever's it is.

A counter was set back in the keys table, or the table was. Nobody knows which numbers of the chain are left,
so none is used: the session is archived, a group's key discarded. The next try begins with fresh keys.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from tocsin.keys.errors import Contended
from tocsin.multidevice.account import Account
from tocsin.whatsapp.errors import InvalidJid
from tocsin.whatsapp.jid import GROUP, JID, mask

log = logging.getLogger(__name__)


def give_up(account: Account, names: Iterable[str]) -> None:
    """Give up the chains to these devices (full JIDs) and groups. What can't be done now, the next refusal
    does."""
    for name in names:
        log.error("message key used before", extra={"device": mask(name)})
        try:
            jid = JID.parse(name)
            if jid.server == GROUP:
                account.keys.groups.discard_sender_key(account.profile, str(jid.bare))
            else:
                user = account.lid_of(str(jid.bare))
                account.keys.sending.mark_stale(account.profile, user, jid.device)
                # The next try asks for the list, and makes sessions with the devices that have none.
                account.keys.sending.expire_device_list(account.profile, user)
        except (InvalidJid, Contended) as exc:
            log.warning("a chain was not given up: %s", exc)
