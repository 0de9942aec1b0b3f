"""What an operator changes while the stack runs: which settings there are, their values, who changed them.

A setting says how something is done: how often, how fast, in which form. Who is written to, where to, what is
kept, and rights are parameters of the template.
"""
