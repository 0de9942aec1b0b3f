"""What seals texts in tests: a key that everybody knows."""

from __future__ import annotations

from tocsin.notify.store.texts import Texts
from tocsin.sealing import RecordSealer

SECRET = '{"id": "t1", "key": "thirty-two characters, and then some"}'
"""As Secrets Manager holds it."""

RECORD_SEALER = RecordSealer.from_secret(SECRET)
TEXTS = Texts(lambda: RECORD_SEALER)
