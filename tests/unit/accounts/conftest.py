from __future__ import annotations

from tests.support.key_fixtures import ann, bob, clock, dynamo_table, dynamodb, table

__all__ = ["ann", "bob", "clock", "dynamo_table", "dynamodb", "table"]
