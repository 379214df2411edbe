"""The messages that nodes exchange (RS-000, RS-001)."""
