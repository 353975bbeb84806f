"""Photos over HTTP: the list, pictures of them, their embeddings, and uploads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Annotated, Literal

from fastapi import APIRouter, File, Query, Request, Response, UploadFile

from ...data_engine.store.images import find_image, list_images, masks_of, note_images
from ...data_engine.store.leases import holders
from ...data_engine.store.tables import ImageRow
from ..pictures import PREVIEW, THUMBNAIL
from ..schemas import DecoderOut, ImageOut, ImagesOut, ImageWithObjects, ObjectIn
from ..services import Services
from .people import Person, Work
from .uploads import content_of

router = APIRouter(prefix="/api", tags=["photos"])

PAGE = 500
PRIVATE = "private, no-cache"
"""kept by the browser alone, which asks each time whether it still holds"""


@router.get("/images")
def read_images(
    work: Work,
    _: Person,
    search: Annotated[str, Query(max_length=200)] = "",
    status: Literal["", "new", "started", "done", "skipped"] = "",
    order: Literal["name", "status", "id"] = "name",
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 100,
) -> ImagesOut:
    """A page of the photos."""
    page = partial(list_images, search=search, status=status, order=order, offset=offset, limit=limit)
    with work.store.reading() as session:
        is_new = any(image.width is None and image.problem is None for image in page(session)[1])
    with work.store.writing() if is_new else work.store.reading() as session:
        total, images = page(session)
        for image in images:
            work.look_at(image)
        locked = holders(session, [image.id for image in images])
        return ImagesOut(total=total, images=[image_out(image, locked) for image in images])


@router.post("/images")
def upload_image(work: Work, _: Person, file: Annotated[UploadFile, File()]) -> ImageOut:
    """Put a photo into the folder."""
    name = work.folder.add(file.filename or "photo", content_of(work, file))
    with work.store.writing() as session:
        note_images(session, [*work.folder.names()])
        image = session.query(ImageRow).filter_by(name=name).one()
        work.look_at(image)
        return image_out(image, {})


@router.get("/images/{image_id}")
def read_image(work: Work, _: Person, image_id: int) -> ImageWithObjects:
    """A photo with its masks; the embeddings of those after it are made in advance."""
    image = work.find(image_id)
    work.embed_after(image)
    return with_objects(work, image_id)


@router.get("/images/{image_id}/thumbnail", response_class=Response)
def read_thumbnail(work: Work, _: Person, image_id: int, request: Request) -> Response:
    """A small JPEG of the photo."""
    return _fitted(work, image_id, request, THUMBNAIL)


@router.get("/images/{image_id}/preview", response_class=Response)
def read_preview(work: Work, _: Person, image_id: int, request: Request) -> Response:
    """A JPEG of the whole photo, 2048 pixels at most."""
    return _fitted(work, image_id, request, PREVIEW)


@router.get("/images/{image_id}/tiles/{level}/{x}/{y}", response_class=Response)
def read_tile(work: Work, _: Person, image_id: int, level: int, x: int, y: int, request: Request) -> Response:
    """A JPEG of 512×512 pixels of the photo at 1/2^level of its size."""
    image = work.find(image_id)
    stamp, path = work.stamp(image), work.folder.path(image.name)
    return _unless_known(request, f"{stamp}-{level}-{x}-{y}", lambda: work.pictures.tile(path, stamp, level, x, y))


@router.get("/images/{image_id}/embedding", response_class=Response)
def read_embedding(work: Work, _: Person, image_id: int, request: Request) -> Response:
    """The embedding of the photo: float16, little endian, the tensors that the decoder's manifest lists."""
    photo = work.photo(work.find(image_id))
    sam = work.segmenter.sam
    headers = {"X-Anymask-Model": sam.config.name, "X-Anymask-Weights": sam.weights_hash}
    content = partial(work.segmenter.packed, photo)
    return _unless_known(request, f"{photo.stamp}-{sam.weights_hash}", content, "application/octet-stream", headers)


@router.get("/decoder")
def read_decoder(work: Work, _: Person) -> DecoderOut:
    """Where the decoder for the browser lies, or why there is none yet."""
    decoder, sam = work.decoder, work.segmenter.sam
    url = f"/decoders/{sam.config.name}-{sam.weights_hash}/"
    if decoder.folder is not None:
        return DecoderOut(url=url, state="ready", message="")
    if decoder.problem:
        return DecoderOut(url=url, state="unavailable", message=decoder.problem)
    return DecoderOut(url=url, state="making", message="the decoder is made for the browser, once")


def image_out(image: ImageRow, locked: dict[int, str]) -> ImageOut:
    """A photo as it goes over the wire."""
    return ImageOut(
        id=image.id,
        name=image.name,
        width=image.width,
        height=image.height,
        status=image.status,  # type: ignore[arg-type]
        objects=image.objects,
        version=image.version,
        locked_by=locked.get(image.id),
        problem=image.problem,
    )


def with_objects(work: Services, image_id: int) -> ImageWithObjects:
    """A photo and its masks, as one transaction sees them."""
    with work.store.reading() as session:
        image = find_image(session, image_id)
        objects = [ObjectIn(**mask.to_dict()) for mask in masks_of(session, image)]
        return ImageWithObjects(image=image_out(image, holders(session, [image_id])), objects=objects)


def _fitted(work: Services, image_id: int, request: Request, longest: int) -> Response:
    image = work.find(image_id)
    stamp, path = work.stamp(image), work.folder.path(image.name)
    return _unless_known(request, f"{stamp}-{longest}", lambda: work.pictures.fitted(path, stamp, longest))


def _unless_known(
    request: Request,
    tag: str,
    make: Callable[[], bytes],
    kind: str = "image/jpeg",
    more: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    """What is made, unless the browser has it already, by its tag."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": PRIVATE, **more}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(make(), media_type=kind, headers=headers)
