"""Tell Tocsin of a ticket by its HTTP door. Python's standard library, and nothing else.

tocsin sources add crm --kind api          prints the URL and the key
DOOR_URL=https://….on.aws DOOR_KEY=crm.… python tell_ticket.py
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

ATTEMPTS = 5

ticket = {
    "event": "created",  # created, assigned, updated, replied, resolved
    # The same id with the same revision is the same change: to tell it twice tells nobody twice.
    "ticket": {"id": "TCK-1042", "revision": 1, "subject": "No internet since 09:00"},
    "customer": {"name": "Siti", "phone": "+62 812 3456 7890", "language": "id"},
}


def post(path: str, body: dict, key: str) -> dict:
    """What the door answers. Tries again what may pass, with the same key. Exits with what is wrong."""
    request = urllib.request.Request(
        os.environ["DOOR_URL"].rstrip("/") + path,
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {os.environ['DOOR_KEY']}",
            "Content-Type": "application/json",
            "Idempotency-Key": key,
        },
    )
    for attempt in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code not in (429, 500, 502, 503, 504) or attempt == ATTEMPTS - 1:
                sys.exit(f"{error.code}: {error.read().decode()}")
            time.sleep(int(error.headers.get("Retry-After") or 2**attempt))
        except OSError as error:  # nobody answered, or not in time
            if attempt == ATTEMPTS - 1:
                sys.exit(f"the door can't be reached: {error}")
            time.sleep(2**attempt)
    raise AssertionError("the last attempt returns or exits")


key = f"{ticket['ticket']['id']}/{ticket['ticket']['revision']}"
print(post("/v1/tickets", ticket, key))
