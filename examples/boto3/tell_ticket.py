"""Tell Tocsin of a ticket by EventBridge.

    pip install boto3
    python tell_ticket.py

Whoever runs it needs the right events:PutEvents on the bus.
"""

import json
import sys

import boto3

BUS = "tocsin-tickets"  # the stack's output EventBusName
SOURCE = "ticketing"  # the stack's output EventSource

ticket = {
    "ticket": {"id": "TCK-1042", "revision": 1, "subject": "No internet since 09:00"},
    "customer": {"name": "Siti", "phone": "+62 812 3456 7890", "language": "id"},
    "technicians": [{"name": "Budi", "phone": "+62 813 1111 2222"}],
}

answer = boto3.client("events").put_events(
    Entries=[
        {
            "EventBusName": BUS,
            "Source": SOURCE,
            "DetailType": "TicketCreated",
            "Detail": json.dumps(ticket),
        }
    ]
)
# PutEvents answers 200 although the bus refused an entry.
if answer["FailedEntryCount"]:
    sys.exit(f"the bus refused it: {answer['Entries'][0]}")
print("told:", answer["Entries"][0]["EventId"])
