"""Many pictures: which input becomes which output, and one result for each."""
