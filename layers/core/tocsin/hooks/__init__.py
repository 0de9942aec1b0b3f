"""Who outside hears of outcomes: endpoints, and every delivery to them, signed and tried again.

Standard Webhooks (standardwebhooks.com) says how they are signed and when they are tried again.
"""
