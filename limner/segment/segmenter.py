"""The segmenter: a photograph in, a segmentation out. Never imports torch."""

from pathlib import Path

import numpy as np

from limner.card import Device, Model
from limner.errors import ModelError
from limner.paint.cells import cell_means
from limner.paint.decode import certainty, undo_weights
from limner.paint.join import light_of
from limner.paint.view import logits_of, view_size
from limner.picture import PIXEL_LIMIT, Picture, Pixels, from_array, open_picture
from limner.scores import log_probabilities
from limner.segment.segmentation import Segmentation
from limner.weights import path as model_path


class Segmenter:
    """Segments with one model; loading it is the slow part, so keep the segmenter.

    model: the name of an embedded model, a model file, or a loaded Model. device: "auto", "cpu" or
    "cuda". max_pixels: larger pictures are refused. Raises ModelError for a model that cannot be
    loaded or does something else.
    """

    def __init__(
        self,
        model: str | Path | Model = "voc",
        *,
        device: Device = "auto",
        max_pixels: int = PIXEL_LIMIT,
    ) -> None:
        self.model = Model(model_path(model), device) if isinstance(model, str | Path) else model
        card = self.model.card
        if card.task != "segment":
            raise ModelError(f"{card.name}: a model to {card.task}; give one that segments")
        if card.input != "rgb" or not card.palette.names:
            raise ModelError(
                f"{card.name}: its card says input {card.input!r} and "
                f"{len(card.palette.names)} names for {len(card.palette)} classes; give a model "
                "that sees 'rgb' and names each class"
            )
        self.max_pixels = max_pixels

    def segment(self, photo: Path | str | Pixels) -> Segmentation:
        """Segment one photograph: a path, or uint8 [H, W] or [H, W, 3] (grey is repeated).

        The network runs now; the mask at full size is made when it is asked for. Raises
        PictureError.
        """
        if isinstance(photo, str | Path):
            picture = open_picture(photo, self.max_pixels)
        else:
            picture = from_array(photo)
        return self._segment(picture)

    def _segment(self, picture: Picture) -> Segmentation:
        card = self.model.card
        width, height = view_size(picture.width, picture.height, card.working_size, card.multiple)
        view = picture.reduced(width, height)
        rgb = np.repeat(view[..., None], 3, axis=-1) if view.ndim == 2 else view
        seen = np.moveaxis(rgb, -1, 0).astype(np.float32) / np.float32(255)
        logits = logits_of(self.model, seen)
        probabilities = np.exp(log_probabilities(logits))
        own = np.exp(log_probabilities(undo_weights(logits, card.class_weights)))
        return Segmentation(
            picture=picture,
            labels=card.palette,
            probabilities=np.moveaxis(probabilities, 0, -1),
            guide=cell_means(light_of(view), card.stride),
            cells_across=width / card.stride,
            cells_down=height / card.stride,
            certainty=float(certainty(logits, card.class_weights).mean()),
            own=np.moveaxis(own, 0, -1),
        )
