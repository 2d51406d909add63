"""Learning: recipe -> loading -> one visible loop -> checkpoint -> model file."""
