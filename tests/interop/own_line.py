"""The line of a client of ours that lives in the test's process: opened, logged in, left."""

from __future__ import annotations

import asyncio
import os
import time

from tocsin.connector.aws import Aws
from tocsin.connector.login import check_prekeys, device_keys
from tocsin.connector.socket import Line, open_line
from tocsin.keys.account import Credentials
from tocsin.keys.store import KeyStore
from tocsin.whatsapp import iq
from tocsin.whatsapp.connection import Config, Connection
from tocsin.whatsapp.events import LoggedIn


class OwnLine:
    """What follows from events is the client's own: `_follow`. So are `keys`, and `credentials` as read."""

    keys: KeyStore
    credentials: Credentials

    def __init__(self, url: str, root_key: bytes) -> None:
        self._url, self._root_key = url, root_key
        self._aws = Aws()
        self._line: Line | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def _open_line(self) -> Line:
        assert self._line is not None
        return self._line

    async def _open(self) -> Line:
        keys = device_keys(self.keys.account.credentials())
        connection = Connection(keys, Config(root_key=self._root_key), random=os.urandom)
        self._line = await open_line(self._url, connection, time.time)
        self._tasks = [asyncio.create_task(self._line.run(lambda: True))]
        return self._line

    async def _log_in(self) -> None:
        """Returns when live delivery begins."""
        line = await self._open()
        while not isinstance(await line.next_event(), LoggedIn):
            pass
        self._tasks.append(asyncio.create_task(self._follow(line)))
        await check_prekeys(self._aws, self.keys, self.credentials, line)
        iq.checked(await line.go_active())

    async def _follow(self, line: Line) -> None:
        raise NotImplementedError

    async def _leave(self) -> None:
        """Close the connection; the server keeps what comes."""
        await self._open_line.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
