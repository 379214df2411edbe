"""The PoHTTP edge: intake of parcels from the Internet."""
