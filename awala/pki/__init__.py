"""Awala PKI (RS-002): node keys, certificates, their issuance and their validation."""
