"""Two devices of pyaileys that talk to each other, if it is installed."""

import asyncio
from collections.abc import Awaitable, Mapping
from statistics import median
from time import perf_counter_ns
from typing import Any

try:
    from pyaileys.auth.state import AuthenticationState
    from pyaileys.auth.utils import init_auth_creds
    from pyaileys.crypto.curve import DefaultCurve25519Provider
    from pyaileys.signal.repository import PreKeyBundle, PreKeyBundleKey, SignalRepository
except ImportError:
    SignalRepository = None


class Keys:
    """A key store in memory."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], Any] = {}

    async def get(self, kind: str, ids: list[str]) -> dict[str, Any]:
        return {id: self._held.get((kind, id)) for id in ids}

    async def set(self, data: Mapping[str, Mapping[str, Any]]) -> None:
        for kind, values in data.items():
            for id, value in values.items():
                self._held[kind, id] = value

    async def clear(self) -> None:
        self._held.clear()


class Device:
    def __init__(self, jid: str) -> None:
        self.jid = jid
        self.keys, self.creds = Keys(), init_auth_creds()
        self.prekey = DefaultCurve25519Provider().generate_keypair()
        self.repository = SignalRepository(AuthenticationState(self.creds, self.keys))

    async def offer(self) -> Any:
        """A bundle whose one-time prekey is there (again)."""
        pair = {"public": self.prekey.public, "private": self.prekey.private}
        await self.keys.set({"pre-key": {"1": pair}})
        signed = self.creds.signed_pre_key
        return PreKeyBundle(
            registration_id=self.creds.registration_id,
            identity_key=b"\x05" + self.creds.signed_identity_key.public,
            signed_pre_key=PreKeyBundleKey(1, b"\x05" + signed.key_pair.public, signed.signature),
            pre_key=PreKeyBundleKey(1, b"\x05" + self.prekey.public),
        )

    async def say(self, peer: "Device", text: bytes) -> tuple[str, bytes]:
        return await self.repository.encrypt_message(peer.jid, data=text)

    async def hear(self, peer: "Device", message: tuple[str, bytes]) -> bytes:
        kind, body = message
        return await self.repository.decrypt_message(peer.jid, message_type=kind, ciphertext=body)

    async def start_and_say(self, peer: "Device", bundle: Any, text: bytes) -> None:
        await self.repository.inject_outgoing_session(peer.jid, bundle)
        await self.say(peer, text)


def measure(text: bytes, rounds: int) -> dict[str, float] | None:
    """Medians in microseconds by operation; None if pyaileys isn't installed."""
    return None if SignalRepository is None else asyncio.run(_measure(text, rounds))


async def _measure(text: bytes, rounds: int) -> dict[str, float]:
    ada, ben = Device("15550000001@s.whatsapp.net"), Device("15550000002@s.whatsapp.net")
    bundle = await ben.offer()
    await ada.start_and_say(ben, bundle, text)
    await ben.hear(ada, await ada.say(ben, text))
    await ada.hear(ben, await ben.say(ada, text))
    await ben.hear(ada, await ada.say(ben, text))
    times: dict[str, list[float]] = {"encrypt": [], "decrypt": [], "turn": [], "start": []}
    for _ in range(rounds):
        message = await _timed(times["encrypt"], ada.say(ben, text))
        await _timed(times["decrypt"], ben.hear(ada, message))
    for _ in range(rounds // 4):
        await _timed(times["turn"], ada.hear(ben, await ben.say(ada, text)))
        await _timed(times["turn"], ben.hear(ada, await ada.say(ben, text)))
    for _ in range(rounds // 10):
        await _timed(times["start"], ada.start_and_say(ben, bundle, text))
    return {name: median(values) for name, values in times.items()}


async def _timed(times: list[float], call: Awaitable[Any]) -> Any:
    before = perf_counter_ns()
    result = await call
    times.append((perf_counter_ns() - before) / 1000)
    return result
