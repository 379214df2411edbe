"""Kills the gateway at random instants while it works, and holds it to what it had promised."""
