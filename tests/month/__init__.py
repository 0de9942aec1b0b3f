"""A month of an internet provider on a virtual clock: does it write like a person, and is nothing lost?

    python -m tests.month --picture month.svg      a minute or so; make month

The core is Tocsin's own (`tests.support.paced_world` says what is made up). `simulation` makes the month,
`checks` looks for a limit that was broken, a lane out of order, a message that was lost, a hold that nobody
explains; `picture` draws the sends of each hour.
"""
