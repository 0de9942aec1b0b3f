"""What things cost, side by side with others on the same machine. `python -m tests.bench [name …]`."""
