"""The Signal protocol as WhatsApp speaks it (session version 3): pure functions on immutable state.

Here belong keys, session setup, ratchets, sender keys and their wire forms. Storage, sockets, clocks and
randomness do not: time and entropy are arguments, and a failed call leaves nothing changed.
"""
