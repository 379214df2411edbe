"""The servers of the edges: Daphne for PoWeb, waitress for PoHTTP and the console."""
