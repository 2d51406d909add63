"""How many rows of the full picture are worked on at a time."""

BLOCK = 192_000  # pixels: smaller ones lie in the cache, but two threads then wait for each other


def block_rows(width: int) -> int:
    """Rows of one block in a picture of this width; it changes the speed and no result."""
    return max(1, BLOCK // width)
