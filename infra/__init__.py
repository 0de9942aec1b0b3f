"""What needs AWS or a machine around the layer: the local stack, the console, nested templates."""
