"""The client `gowa` of PyPI, unmodified: one call, whose answer is printed as JSON.

    python gowa_caller.py URL USER PASSWORD text|file|state

It runs under another Python than the tests, for it knows none older than 3.12.
"""

import asyncio
import json
import sys


async def main(url: str, user: str, password: str, what: str) -> None:
    from gowa_sdk import GoWaClient, SendFileRequest, SendMessageRequest

    async with GoWaClient(url, user, password) as client:
        if what == "text":
            request = SendMessageRequest(phone="6281234567890@s.whatsapp.net", message="Halo dari gowa")
            told = await client.send_message(request)
        elif what == "file":
            request = SendFileRequest(phone="6281234567890", caption="Tagihan")
            told = await client.send_file(request, b"%PDF-1.4 an invoice", filename="invoice.pdf")
        else:
            told = await client.get_status()
        print(told.model_dump_json())


try:
    asyncio.run(main(*sys.argv[1:]))
except Exception as error:  # noqa: BLE001 - whatever it raises, it took the answer for a failure
    print(json.dumps({"failed": f"{type(error).__name__}: {error}"}))
