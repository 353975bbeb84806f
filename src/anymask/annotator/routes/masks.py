"""Masks by the model over HTTP: of the project's photos, and of any photo that is sent along."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Response, UploadFile
from pydantic import ValidationError

from ...errors import PromptError
from ...files import write_json
from ..faults import AnswerError
from ..jobs import Progress
from ..schemas import EverythingOut, FoundOut, JobStarted, MaskOut, MasksOut, PromptIn, Rle, packed_logits
from ..segmenter import Photo
from ..services import Services
from .people import Person, Work
from .uploads import content_of

router = APIRouter(prefix="/api", tags=["masks"])


@router.post("/images/{image_id}/segment")
def segment(work: Work, _: Person, image_id: int, prompt: PromptIn) -> MasksOut:
    """Masks of what is pointed at in a photo of the project, or of all that a text names."""
    return _segmented(work, work.photo(work.find(image_id)), prompt)


@router.post("/images/{image_id}/everything")
def find_everything(work: Work, person: Person, image_id: int) -> JobStarted:
    """Begin to look for all masks of a photo of the project."""
    photo = work.photo(work.find(image_id))
    kept = _kept(work, photo)

    def run(progress: Progress) -> dict[str, Any]:
        masks = _everything(work, photo, progress).model_dump()["masks"]
        write_json(kept, {"masks": masks})
        return {"masks": len(masks)}

    return JobStarted(job=work.jobs.start("everything", person, run).id)


@router.get("/images/{image_id}/everything")
def read_everything(work: Work, _: Person, image_id: int) -> EverythingOut:
    """All masks that were found in a photo of the project."""
    kept = _kept(work, work.photo(work.find(image_id)))
    try:
        return EverythingOut(**json.loads(kept.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise AnswerError(404, "not_made", "this was not looked for yet; POST to the same address begins it") from None


@router.post("/segment")
def segment_upload(
    work: Work, _: Person, file: Annotated[UploadFile, File()], prompt: Annotated[str, Form()]
) -> MasksOut:
    """As for a photo of the project, of one that is sent along; the prompt is JSON."""
    try:
        given = PromptIn.model_validate_json(prompt)
    except ValidationError as error:
        raise PromptError(f"prompt: {error.errors()[0]['msg']}; see PromptIn in /openapi.json") from None
    return _segmented(work, _uploaded(work, file), given)


@router.post("/everything")
def everything_in_upload(work: Work, _: Person, file: Annotated[UploadFile, File()]) -> EverythingOut:
    """All masks of a photo that is sent along."""
    return _everything(work, _uploaded(work, file), lambda done, total: None)


@router.post("/embedding", response_class=Response)
def embed_upload(work: Work, _: Person, file: Annotated[UploadFile, File()]) -> Response:
    """The embedding of a photo that is sent along, as for those of the project."""
    sam = work.segmenter.sam
    headers = {"X-Anymask-Model": sam.config.name, "X-Anymask-Weights": sam.weights_hash}
    content = work.segmenter.packed(_uploaded(work, file))
    return Response(content, media_type="application/octet-stream", headers=headers)


def _segmented(work: Services, photo: Photo, given: PromptIn) -> MasksOut:
    prompt = given.prompt(work.segmenter.sam.config.mask_size)
    if given.text:
        found = work.segmenter.find(photo, given.text, prompt)
    else:
        if prompt is None:
            raise PromptError("nothing to segment: give points, a box, logits or a text")
        found = work.segmenter.segment(photo, prompt, given.multimask)
    return MasksOut(
        masks=[MaskOut(segmentation=Rle(**mask), score=score, logits=packed_logits(x)) for mask, score, x in found]
    )


def _everything(work: Services, photo: Photo, progress: Progress) -> EverythingOut:
    names = FoundOut.model_fields
    found = work.segmenter.everything(photo, progress)
    return EverythingOut(masks=[FoundOut(**{name: each[name] for name in names}) for each in found])


def _kept(work: Services, photo: Photo) -> Any:
    return work.kept / "everything" / f"{photo.stamp}-{work.segmenter.sam.weights_hash}.json"


def _uploaded(work: Services, file: UploadFile) -> Photo:
    return Photo.of_bytes(content_of(work, file), file.filename or "photo")
