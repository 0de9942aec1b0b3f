"""A simulated companion: what a phone does, as a linked device."""

from __future__ import annotations

from tocsin.signal.curve import KeyPair
from tocsin.whatsapp.jid import HOSTED_DEVICE
from tocsin_whatsapp_server.directory import Account, Device
from tocsin_whatsapp_server.groups import Group
from tocsin_whatsapp_server.inbox import InvalidRequest
from tocsin_whatsapp_server.outbox import Sent
from tocsin_whatsapp_server.pairing import device_identity
from tocsin_whatsapp_server.phone import Phone
from tocsin_whatsapp_server.switchboard import Switchboard


class Companion(Phone):
    """A companion that lives in this process like the phones: reads, confirms, asks again, breaks and heals.

    For crowds of devices without a client for each.
    """

    def __init__(
        self,
        account: Account,
        switchboard: Switchboard,
        *,
        reads: bool = False,
        hosted: bool = False,
        phone: KeyPair | None = None,
    ) -> None:
        """`hosted`: the one that Meta operates for a business. `phone`: the account key that vouches for it;
        None: nobody does."""
        self._hosted = hosted
        self._voucher = phone
        super().__init__(account, switchboard, reads=reads)

    def _install(self) -> Device:
        number, key_index = self.account.next_device()
        if self._hosted:
            device = self._register(HOSTED_DEVICE, "hosted", key_index)
        else:
            device = self._register(number, "tablet", key_index)
        if self._voucher is not None:
            device.device_identity = device_identity(
                self._voucher,
                self.identity,
                key_index=key_index,
                now=self._board.now,
                random=self._random,
                hosted=self._hosted,
            )
        self._board.linked(device)
        return device

    def write(self, to: Account | Group, text: str, *, quote: str | None = None) -> Sent:
        """Raises InvalidRequest: only phones write."""
        raise InvalidRequest("only the phone writes; leave the companion out")

    def reinstall(self) -> None:
        """Raises InvalidRequest: a companion is unlinked and linked anew."""
        raise InvalidRequest("a companion isn't reinstalled: unlink it and add another one")
