"""The linked accounts: who holds them, which restrictions of WhatsApp are active, what the operator requests.

Imports `dynamo` and `tables` only. No key material.
"""
