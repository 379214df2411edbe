"""What `make protos` generates from protos/; not to be edited."""
