"""ASN.1: a reader for the BER that the deployed clients emit, and a writer of DER (X.690)."""
