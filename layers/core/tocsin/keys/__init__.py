"""Key material and what belongs to it: credentials, prekeys, sessions, sender keys, in one DynamoDB table.

An index is reserved, not locked; a ratchet turns under a fence (`turn.py`). Nothing of WhatsApp's wire and
nothing of tickets belongs here, and no key material stays in memory between two calls.
"""
