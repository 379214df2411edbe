"""The CogRPC edge: couriers bring and fetch cargo (RS-008)."""
