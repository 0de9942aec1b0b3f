"""A WhatsApp server for one machine: real clients pair with it and talk through it.

Phones can be scripted, faults injected, and every ciphertext is audited. It knows nothing of Tocsin's keys,
notifications or AWS; the protocol comes from `tocsin.whatsapp` and `tocsin.signal`.
"""
