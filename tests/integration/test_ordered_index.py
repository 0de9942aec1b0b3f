"""The emulator's quick pages of an index are those that it gives by itself, only sooner."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tocsin_local import ordered_index
from tocsin_local.emulator import interpreter

pytestmark = pytest.mark.skipif(not interpreter().exists(), reason="the emulator isn't installed: make setup")

PROGRAM = """
import itertools, json, random, sys
from importlib.machinery import SourceFileLoader
from types import ModuleType
from ministack.services import dynamodb

ordered = ModuleType("ordered_index")
SourceFileLoader("ordered_index", sys.argv[1]).exec_module(ordered)
names, chance = vars(dynamodb), random.Random(7)
key = lambda *names: [{"AttributeName": n, "KeyType": k} for n, k in zip(names, ("HASH", "RANGE"))]
dynamodb._create_table({
    "TableName": "t", "BillingMode": "PAY_PER_REQUEST", "KeySchema": key("pk", "sk"),
    "AttributeDefinitions": [{"AttributeName": n, "AttributeType": t} for n, t in
                             (("pk", "S"), ("sk", "S"), ("watching", "S"), ("due", "N"))],
    "GlobalSecondaryIndexes": [{"IndexName": "watch", "KeySchema": key("watching", "due"),
                                "Projection": {"ProjectionType": "KEYS_ONLY"}}],
})

def item(number):
    return {"pk": {"S": f"n{number}"}, "sk": {"S": "state"}, "watching": {"S": "a" if number % 9 else "b"},
            "due": {"N": str(chance.randrange(300))}}

def put(number):
    dynamodb._put_item({"TableName": "t", "Item": item(number)})

def remove(number):
    dynamodb._delete_item({"TableName": "t", "Key": {"pk": {"S": f"n{number}"}, "sk": {"S": "state"}}})

def asked():
    for sign, limit, forward, part in itertools.product(
            ("< :x", "<= :x", "> :x", ">= :x", "BETWEEN :x AND :y"), (None, 1, 7, 2000), (True, False), "ab"):
        low = chance.randrange(-5, 305)
        values = {":p": {"S": part}, ":x": {"N": str(low)}}
        if ":y" in sign:
            values[":y"] = {"N": str(low + chance.randrange(50))}
        yield {"TableName": "t", "IndexName": "watch", "ScanIndexForward": forward,
               "KeyConditionExpression": f"watching = :p AND due {sign}", "ExpressionAttributeValues": values,
               **({"Limit": limit} if limit else {})}

def answer(query, request):
    status, _, body = query(json.loads(json.dumps(request)))
    return status, json.loads(body)

for number in range(1200):
    put(number)
slow = names["_query"]
ordered.install(names)
differing = compared = 0
for round in range(4):
    for request in asked():
        compared += 1
        differing += answer(slow, request) != answer(names["_query"], request)
    for number in chance.sample(range(1500), 120):
        (put if chance.random() < 0.6 else remove)(number)
print(json.dumps({"compared": compared, "differing": differing}))
"""


def test_every_page_is_the_one_that_it_gives_by_itself_while_items_come_and_go(tmp_path: Path) -> None:
    program = tmp_path / "compare.py"
    program.write_text(PROGRAM)
    ended = subprocess.run(
        [str(interpreter()), "-P", str(program), ordered_index.__file__],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1]) == {"compared": 320, "differing": 0}
