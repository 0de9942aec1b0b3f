"""The one process that stays awake, and the client by which the Lambdas call it.

Here: leases held and shared out, the socket, the HTTPS endpoint, forwarding to SQS, uploads, pairing.
`client` and `protocol` are all that a Lambda may import from here. Nothing of Signal's sessions lives in
this package.
"""
