"""One module per command: what can be typed (`register`), and what is done then (`run`).

`--help` imports all of these modules, so what a command needs to do its work is imported when it runs.
"""
