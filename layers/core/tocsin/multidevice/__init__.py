"""WhatsApp multi-device: the first transport, whole.

Here the domain (`notify`), key material (`keys`), Signal and WhatsApp's wire meet.
It sends, receives, and recovers.
"""
