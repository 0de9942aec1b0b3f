"""The notifications table, one module per kind of item."""
