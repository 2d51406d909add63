"""Files that appear whole or not at all."""

import os
from pathlib import Path

from limner.errors import LimnerError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file by way of a temporary one beside it and a rename.

    Raises LimnerError if it cannot be written; what stood there before stays whole then.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise LimnerError(
            f"{path}: cannot be written ({error.strerror}); make room or choose another folder"
        ) from error
    finally:
        if os.path.lexists(beside):  # False too for a name that is too long to exist
            beside.unlink()
