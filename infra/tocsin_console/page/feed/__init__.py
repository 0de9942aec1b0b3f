"""The notifications by time, as somebody watches them.

    line.py      what is shown of one, and kept: small, for there are a hundred thousand of them. Pure
    sifting.py   which of them a filter lets through, and the filter in the address. Pure
    recent.py    all that are known, in order of time
    history.py   reads what the table holds, the newest first: by the index `watch`, and by what waits
    stream.py    reads what changes: the table's own stream, one request a second
    watching.py  who watches: reads while somebody does, and stops when nobody does

No write and no index of its own: what got past the queue stands in the index `watch` by time, what waits in
its
line. What is still in the queue is seen as it happens; of earlier times it is seen once it was sent, waits or
ended.
"""
