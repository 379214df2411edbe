"""Fuzz targets, one module each, run by bin/fuzz.

``target(octets)`` may raise an InvalidMessageError and nothing else, and must return soon. ``seeds()`` are messages
of the deployed libraries, with which libFuzzer begins to invent.
"""
