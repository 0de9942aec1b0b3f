"""Who is who: one record a person, with the numbers and names by which they are known, and their consent.

    numbers      what people write ─▶ digits, and the key under which two spellings of a number meet
    person       a record, and what becomes of two that turn out to be one person's
    people       the records in the notifications table: a name leads to its person

A person is called by a canonical id: their LID, and before that is known the number. Which LID a number has,
nothing here decides: the keys table holds that sealed (`keys.addresses`), and only WhatsApp's answer to a
question of ours changes it. `PEOPLE.md` tells every situation, and what is done.
"""
