"""Kills whatever stands between a courier's cargo and where its parcels are bound, one or several at a time."""
