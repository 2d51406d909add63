"""The errors that limner raises on purpose, one line each: what, found, do."""


class LimnerError(Exception):
    """A call or an input is wrong; the command prints the line and leaves with `exit_code`."""

    exit_code = 2


class PictureError(LimnerError):
    """A picture cannot be read, is of a kind that is not handled, or cannot be written."""


class PaletteError(LimnerError):
    """A palette is malformed, or cannot be learned from what was given."""


class ModelError(LimnerError):
    """A model file is missing, not limner's, or newer than this limner."""


class RecipeError(LimnerError):
    """A recipe has an unknown key, a value out of range, or asks for an unknown network."""


class DataError(LimnerError):
    """A data set is missing, empty or malformed."""


class SplitError(DataError):
    """A data set is there, but has no split of that name."""


class TrainingError(LimnerError):
    """Training cannot start or go on: a damaged checkpoint, a loss that is not a number."""


class AccountError(LimnerError):
    """A network cannot be counted, or a count disagrees with its proof."""


class StudyError(LimnerError):
    """A study is unknown, a run of it failed, or a record of one is damaged."""


class MissingExtra(LimnerError):
    """A learning command was called where only the painting floor is installed."""

    def __init__(self, what: str, package: str) -> None:
        super().__init__(
            f"{what} needs {package}, which is not installed; "
            "install it from this checkout with: pip install '.[learn]'"
        )
