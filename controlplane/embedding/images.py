"""Images to vectors: a CLIP model through sentence-transformers. The one file that reads images."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from .port import Vectors
from .sentence import loaded

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
MOST_PIXELS = 4096 * 4096  # a small file may unfold to any size


class ImageUnreadable(Exception):
    """It is no image of a kind that is read, or damaged, or too large."""


class ImageEmbedder:
    """Any model of sentence-transformers that takes images."""

    def __init__(self, model: str) -> None:
        """Load the model; takes seconds.

        Raises:
          OSError, ValueError, ImportError: it cannot be loaded, or takes no images.
        """
        from PIL import Image

        self._model = loaded(model)
        blank = io.BytesIO()
        Image.new("RGB", (1, 1)).save(blank, "PNG")
        self.dimension = self.embed([blank.getvalue()]).shape[1]

    def embed(self, images: Sequence[bytes]) -> Vectors:
        """Unit vectors [N, D].

        Raises:
          ImageUnreadable: one of them is no image.
        """
        pictures = [_opened(content, place) for place, content in enumerate(images, start=1)]
        vectors = self._model.encode(
            pictures, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(vectors, np.float32)


def _opened(content: bytes, place: int) -> Any:
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(content), formats=FORMATS)
        if picture.width * picture.height > MOST_PIXELS:
            raise ImageUnreadable(f"image {place} has {picture.width} x {picture.height} pixels; make it smaller")
        return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        kinds = ", ".join(FORMATS)
        raise ImageUnreadable(f"image {place} cannot be read; {kinds} are, whole") from error
