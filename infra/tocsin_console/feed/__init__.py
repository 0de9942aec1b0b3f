"""What changes, for the page's feed and for `tocsin tail`.

line.py     what is shown of a notification, and kept: small, for there are a hundred thousand of them. Pure
sifting.py  which of them a filter lets through, and the filter in the page's address. Pure
stream.py   reads what changes: the table's own stream, one request at a time
"""
