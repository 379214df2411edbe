"""The background queues: unwrapping cargo (CRC), delivering parcels to the Internet (PDC), and upkeep."""
