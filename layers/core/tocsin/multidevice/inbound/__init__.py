"""What WhatsApp sends us: messages, receipts, requests for a resend, news about devices.

    envelope ── dispatch ──┬─ message ─────── `messages`: decrypt, reply, consent, delivery receipt
                           ├─ receipt ─────── `receipts`: delivered, read; a retry receipt ── `retries`
                           ├─ notification ── `device_news`: device lists, identities, addresses, limits
                           └─ call, others ── nothing

`stanzas` handles a batch of them, sender beside sender. A stanza comes at least once, and perhaps in two runs
at the same time: everything here may be done twice. What can't be done now (no connector) is
raised, and the queue brings the stanza again.
"""
