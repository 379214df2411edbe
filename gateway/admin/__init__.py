"""The operators' console: one page per kind of row; Django imports this once the models are ready."""

from gateway.admin import accounts, cargo, destination, event, identity, parcels, peer, upkeep

__all__ = ["accounts", "cargo", "destination", "event", "identity", "parcels", "peer", "upkeep"]
