"""The one process that stays awake: it holds the accounts' leases and their sockets.

Here: leases held and shared out, the socket, the HTTPS endpoint, forwarding to SQS, uploads, pairing. A
function calls it through `connector_client`. Nothing of Signal's sessions lives in this package.
"""
