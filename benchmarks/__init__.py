"""Measures the gateway against the figures to reach; `make bench` runs all of it. Nothing here asserts on time."""
