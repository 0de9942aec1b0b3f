"""WhatsApp's wire, without I/O: nodes, Noise, pairing, stanzas and the client connection as a state machine.

Here belongs what others specified about the wire. Sessions are in `signal`, storage in `keys`, sockets in
`connector`; from the rest of the project only `signal`'s keys, bundles and ciphertexts are known here.
"""
