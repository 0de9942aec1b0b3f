"""`tocsin console`: a page on the operator's own machine, with the operator's own rights on AWS.

    door.py      who may come in: address, origin, invitation, session, forms
    site.py      what every page shares: threads, templates, errors in words
    server.py    listens on the loopback and leads to the pages
    views/       one module for each page: read, call what the command of the same name calls, show
    feed/        notifications by time: loaded once, kept by the table's stream, filtered in memory

Nothing here decides what may be done with a notification: that stands where the commands have it.
"""
