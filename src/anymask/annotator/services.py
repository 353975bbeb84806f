"""What the routes work with: the store, the photos, the model and the jobs of one annotator."""

from __future__ import annotations

from contextlib import suppress

from ..data_engine.store.images import find_image, list_images, note_images
from ..data_engine.store.store import Store
from ..data_engine.store.tables import ImageRow
from ..errors import ImageError, MissingError
from ..model.sam import Sam
from ..predict.embedding_cache import EmbeddingCache
from ..task.image import image_size
from .decoder import Decoder
from .folder import PhotoFolder
from .jobs import Jobs
from .metrics import Metrics
from .pictures import Pictures
from .segmenter import Ahead, Photo, Segmenter
from .settings import AnnotatorSettings


class Services:
    """All that an annotator consists of besides its routes. It is closed at the end.

    Args:
        settings: the annotator's.
        sam: the model.

    Raises StoreError and ConfigError where the database cannot be opened.
    """

    def __init__(self, settings: AnnotatorSettings, sam: Sam) -> None:
        self.settings = settings
        self.store = Store(settings.database)
        self.folder = PhotoFolder(settings.folder)
        kept = settings.project / "cache"
        self.kept = kept
        self.pictures = Pictures(kept / "pictures")
        self.segmenter = Segmenter(sam, settings.text_model, EmbeddingCache(kept / "embeddings"))
        self.ahead = Ahead(self.segmenter)
        self.jobs = Jobs()
        self.metrics = Metrics()
        with self.store.writing() as session:
            note_images(session, self.folder.names())
        self.decoder = Decoder(sam)

    def close(self) -> None:
        """End what is going on, and let go of the database."""
        self.jobs.close()
        self.ahead.close()
        self.decoder.close()
        self.store.close()

    def look_at(self, image: ImageRow) -> None:
        """Fill in the size of an image, or why it has none, where that is not known."""
        if image.width is not None or image.problem is not None:
            return
        try:
            image.height, image.width = image_size(self.folder.path(image.name), image.name)
        except ImageError as error:
            image.problem = str(error)

    def stamp(self, image: ImageRow) -> str:
        """What changes with the image's file. Raises ImageError where it is gone."""
        try:
            status = self.folder.path(image.name).stat()
        except OSError as error:
            raise ImageError(f"{image.name}: cannot be read ({error.strerror}); put it back into the folder") from None
        return f"{image.id}-{status.st_mtime_ns:x}-{status.st_size:x}"

    def find(self, image_id: int) -> ImageRow:
        """An image that can be shown. Raises MissingError, and ImageError for one that cannot be read."""
        with self.store.reading() as session:
            image = find_image(session, image_id)
            known = image.width is not None
            session.expunge(image)
        if not known:
            with self.store.writing() as session:
                image = find_image(session, image_id, lock=True)
                self.look_at(image)
                session.flush()
                session.expunge(image)
        if image.problem is not None:
            raise ImageError(image.problem)
        return image

    def photo(self, image: ImageRow) -> Photo:
        """An image as the model gets it. Raises ImageError where its file is gone."""
        path, stamp = self.folder.path(image.name), self.stamp(image)
        return Photo(stamp, lambda: self.pictures.pixels(path, stamp))

    def embed_after(self, image: ImageRow) -> None:
        """Have the embeddings of the images that come after one made in advance."""
        with self.store.reading() as session:
            _, following = list_images(session, after=image.name, limit=self.settings.ahead)
            photos = []
            for each in following:
                with suppress(ImageError, MissingError):
                    photos.append(self.photo(each))
        self.ahead.want(photos)
