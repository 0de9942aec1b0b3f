"""The notifications table, a small store for each kind of item; `stores.Stores` holds them all.

Imports `dynamo`, `tables` and the dataclasses of `notify`. Every change is one conditional write.
"""
