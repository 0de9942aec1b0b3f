"""Receive outcomes of Tocsin as webhooks, verified by the library of Standard Webhooks.

pip install standardwebhooks
tocsin hooks add https://desk.example.com/tocsin          prints the secret
WEBHOOK_SECRET=whsec_… python receiver.py                  behind whatever speaks HTTPS for it
"""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

PORT = int(os.environ.get("PORT", "8000"))
# No outcome is longer. Whoever isn't known yet gets no more room than that, and no more time.
MAX_BYTES = 1_000_000
SECONDS = 15
webhook = Webhook(os.environ["WEBHOOK_SECRET"])

# An outcome may come twice. A program that lives longer keeps this in its database.
seen = set()


def told(outcome: dict) -> None:
    """Your part: write it into the ticket."""
    about = outcome["data"]
    print(outcome["type"], about.get("ticket_id"), about.get("text") or about.get("reason") or "", flush=True)


class Receiver(BaseHTTPRequestHandler):
    timeout = SECONDS

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BYTES:
            return self.answer(413)
        body = self.rfile.read(int(length))
        try:
            # What is verified are the bytes that came, and not what was parsed of them.
            outcome = webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            return self.answer(401)
        name = self.headers["webhook-id"]
        if name not in seen:
            told(outcome)
            seen.add(name)
        # Any 2xx within 15 seconds: do what takes longer after the answer.
        return self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


server = ThreadingHTTPServer(("127.0.0.1", PORT), Receiver)
print("listening on port", server.server_address[1], flush=True)
server.serve_forever()
