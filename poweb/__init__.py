"""The PoWeb edge: registration, delivery and collection for private gateways."""
