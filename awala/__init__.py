"""The Awala protocol suite as a library: octets in, values out.

Nothing here does I/O or reads the clock: times, keys and octets are arguments. The one exception is
:mod:`awala.clients`, which talks to servers.
"""
