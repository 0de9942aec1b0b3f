"""The notifications by time, as somebody watches them on the page.

    drawn.py     a line for the script of the page. Pure
    recent.py    all that are known, in order of time
    watching.py  who watches: reads while somebody does, and stops when nobody does

What a line is, which of them a filter lets through, what was and what changes are below, in
`tocsin_console.feed`.

No write and no index of its own: what got past the queue stands in the index `watch` by time, what waits in
its
line. What is still in the queue is seen as it happens; of earlier times it is seen once it was sent, waits or
ended.
"""
