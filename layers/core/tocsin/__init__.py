"""Tocsin: ticket events become WhatsApp messages that arrive.

ARCHITECTURE.md names the packages, what belongs in each, and which may import which.
"""

from __future__ import annotations

from tocsin.target import refuse_wrong_layer

refuse_wrong_layer()
