"""When a message may go out: pause, budgets, warm-up, spacing, quiet hours, digests.

Given rules, counts and a clock, it says go, or not before then because of that.

Who asks: the connector, which sees each message of an account (`pacer`), and the sender, which knows whom a
message is for (`quiet`). See PACE.md.
"""
