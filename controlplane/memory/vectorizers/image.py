"""Images of a failure, as screenshots are, by a CLIP model that the operator names. Of an image its digest is kept."""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
import structlog

from auditor.events import Episode

from ...embedding import BatchingEmbedder, EmbeddingUnavailable, ImageEmbedder, ImageUnreadable, Vector
from ...errors import Unprocessable
from ...settings import Settings
from .port import Content

log = structlog.get_logger()
MOST_BYTES = 512 * 1024
UNSET = "images cannot be embedded here; the operator sets POINTSMAN_IMAGE_MODEL to a CLIP model"


class ImageVectorizer:
    """One vector for all images of a failure, their mean; the model is loaded when the first one comes."""

    source = "images of captures"

    def __init__(self, embedder: BatchingEmbedder, settings: Settings) -> None:
        self._named, self.dimension = settings.image_model or "", 0
        self.model = _told_apart(self._named)
        self._loaded: ImageEmbedder | None = None
        self._alone = asyncio.Lock()  # its processor is not safe under threads

    def content(self, episode: Episode, images: Sequence[bytes]) -> Content | None:
        """Raises Unprocessable: there are images, and no model."""
        if images and not self.model:
            raise Unprocessable(UNSET)
        return tuple(images) or None

    def query(self, asked: str) -> Content:
        """Raises Unprocessable: it is no image in base64, or there is no model."""
        if not self.model:
            raise Unprocessable(UNSET)
        return (decoded(asked, "query"),)

    async def embed(self, content: Content) -> Vector:
        """Raises Unprocessable: an image cannot be read; EmbeddingUnavailable: the model cannot be loaded."""
        assert not isinstance(content, str)
        async with self._alone:
            return await asyncio.to_thread(self._mean, content)

    def _mean(self, images: Sequence[bytes]) -> Vector:
        try:
            vectors = self._embedder().embed(images)  # [N, D]
        except ImageUnreadable as unreadable:
            raise Unprocessable(str(unreadable)) from unreadable
        mean = vectors.mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)

    def _embedder(self) -> ImageEmbedder:
        if self._loaded is None:
            try:
                self._loaded = ImageEmbedder(self._named)
            except Exception as error:  # whatever a model library raises: images wait, everything else goes on
                log.error("image_model_failed", error=f"{type(error).__name__}: {error}")
                raise EmbeddingUnavailable("the image model cannot be loaded; the log says why") from error
            self.dimension = self._loaded.dimension
        return self._loaded


def _told_apart(model: str) -> str:
    """A model's name; of a folder with a digest that tells models in one place apart, without reading their weights."""
    folder = Path(model)
    if not model or not folder.is_dir():
        return model
    sizes = sorted((file.name, file.stat().st_size) for file in folder.rglob("*") if file.is_file())
    configured = b"".join(file.read_bytes() for file in sorted(folder.rglob("config.json")))
    return f"{model}@{blake2b(repr(sizes).encode() + configured, digest_size=4).hexdigest()}"


def decoded(image: str, field: str) -> bytes:
    """An image as it was sent, in base64.

    Raises:
      Unprocessable: it is none, or too large.
    """
    try:
        content = b64decode(image, validate=True)
    except binascii.Error as error:
        raise Unprocessable(f"{field} is not base64: {error}") from error
    if not 0 < len(content) <= MOST_BYTES:
        raise Unprocessable(f"{field} has {len(content)} bytes; 1 to {MOST_BYTES} are taken")
    return content
