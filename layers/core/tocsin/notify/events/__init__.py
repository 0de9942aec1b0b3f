"""What a ticketing system tells: the event, its schema, who must know, and their phone numbers."""
