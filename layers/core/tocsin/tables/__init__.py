"""Every partition and sort key of each table, and nothing else."""
