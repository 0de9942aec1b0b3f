"""How a Lambda reaches the connector: all of it that a function may import."""
