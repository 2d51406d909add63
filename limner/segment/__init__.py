"""A photograph in, its parts out: a class for every pixel."""
