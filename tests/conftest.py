"""Settings of the whole suite; fixtures live beside the tests that share them."""
