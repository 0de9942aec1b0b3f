"""Every partition and sort key of each table, and the names that stand in them."""
