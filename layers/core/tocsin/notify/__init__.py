"""The domain: who must know about a ticket event, in which words, and what became of telling them.

Speaks to a transport through a small interface; holds nothing of Signal (`signal`), of WhatsApp's wire
(`whatsapp`) or of key material (`keys`).
"""
