"""Help desks as data: what each of them sends, and how a ticket event is made of it.

    kinds/*.json   one file for each help desk: its signature, what happened, where each field is, its repairs
    kind           reads and checks such a file; an operator's own is one, too
    translate      a request ─▶ the ticket event, an answer, or a refusal with every violation
    fitting        what breaks the event's schema is repaired or dropped, and the ticket is told all the same

`DESKS.md` is the page for those who set a help desk up or write a file of their own.
"""
