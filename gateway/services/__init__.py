"""What the gateway does, one use case per module: synchronous functions that the edges call."""
