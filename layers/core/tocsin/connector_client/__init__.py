"""How a function reaches the connector. Of the connector, a function may import this alone."""
