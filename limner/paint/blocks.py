"""How many rows of the full picture are worked on at a time."""

BLOCK = 24_000  # pixels: planes of float32 below 128 KB, from which malloc asks the system


def block_rows(width: int) -> int:
    """Rows of one block in a picture of this width; it changes the speed and no result."""
    return max(1, BLOCK // width)
