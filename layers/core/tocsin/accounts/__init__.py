"""The linked accounts: who holds them, what WhatsApp keeps them from, what the operator asks of them.

Imports `dynamo` and `tables` only. No key material.
"""
