"""The operators' console: one page per kind of row, for reading; Django imports this once the models are ready."""

from gateway.admin import accounts, event, identity, parcels, peer

__all__ = ["accounts", "event", "identity", "parcels", "peer"]
