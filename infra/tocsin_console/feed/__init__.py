"""What was and what changes, for the page's feed, for `tocsin tail` and for `tocsin explain`.

line.py     what is shown of a notification, and kept: small, for there are a hundred thousand of them. Pure
sifting.py  which of them a filter lets through, and the filter in the page's address. Pure
history.py  reads what the table holds, the newest first: by the index `watch`, and by what waits
stream.py   reads what changes: the table's own stream, one request at a time
"""
