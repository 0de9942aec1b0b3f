"""Tocsin: ticket events become WhatsApp messages that arrive.

`signal` and `whatsapp` hold what others specified, `keys` what is remembered, `notify` what it means,
`connector` the one process that stays awake.
"""

from __future__ import annotations

from tocsin.target import refuse_wrong_layer

refuse_wrong_layer()
