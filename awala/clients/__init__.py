"""Clients of the protocol's servers: the one part of the library that does I/O."""
