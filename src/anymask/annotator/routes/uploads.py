"""Files that come with a request."""

from __future__ import annotations

from fastapi import UploadFile

from ..faults import AnswerError
from ..services import Services
from ..settings import MEGABYTE


def content_of(work: Services, file: UploadFile) -> bytes:
    """What was uploaded. Raises AnswerError where it is too large."""
    most = work.settings.upload_bytes
    if (file.size or 0) > most:
        raise AnswerError(413, "too_large", f"{file.filename}: over {most // MEGABYTE} MB; start with --max-upload MB")
    return file.file.read()
