"""Cryptographic Message Syntax (RFC 5652), as profiled by RS-018."""
