"""Learning: recipe -> data -> batches -> one visible loop -> checkpoint -> model file."""
