"""One DynamoDB table as data: writes, conditions, attributes, and the backends that evaluate them.

Nothing here knows what an item means. Imports nothing of Tocsin.
"""
