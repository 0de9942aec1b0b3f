"""What comes in by HTTP: requests of help desks and tools become events, and each caller gets its own answer.

    request   what Lambda hands on ─▶ method, path, raw query, headers, raw body routing   path ─▶ dialect and
    call, or the name of a help desk's source sources   who may call: kind, hash of the secret, accounts,
    audiences, recipients, rate dialects  one module for each way in which tools ask for a message to be sent
    desks     help desks as data: `translate` makes ticket events of a webhook door      authenticate ─▶
    translate ─▶ put onto the bus ─▶ answer; the bus, the tables and the clock are given

Nothing here knows Signal, WhatsApp or a key of theirs. Where an event came from, nobody behind the bus knows.
`DOOR.md` is the operator's page.
"""
