"""The operator's smoke test: simulated devices exchange parcels through a running gateway, ours or another."""
