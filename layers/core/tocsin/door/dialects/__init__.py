"""How tools ask for a message to be sent, one module for each way: `KIND`, `ROUTES`, `token_of`, `refuse`."""
