"""Bytes that nobody would send, by the million, against everything that reads what others sent.

`targets.py` says what is fed and what may come of it, `engine.py` makes the bytes; `make fuzz` runs them at
length, `test_fuzz.py` shortly.
"""
