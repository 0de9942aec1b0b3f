"""Which parts make up each function: the only place that chooses real adapters.

A module for each function, named as its folder, and what several of them share:

    later ── secrets, stores, settings ── number_owners, transport ── send_notification, receive_stanza
                             ── record_receipts, plan_notifications, publish_outcomes, maintain_sessions,
                                receive_webhook, deliver_webhooks

Everything is made once per container. Most starts are cold ones, so a module imports what each start of its
function needs, and what only some invocations need (a help desk, the daily maintenance of keys) when it is
first used.
"""

from __future__ import annotations
