"""Long jobs over HTTP: how far they are, now or as it happens, exports and imports among them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import FileResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from ...errors import MissingError
from ..jobs import Progress, as_dict
from ..schemas import ExportIn, JobOut, JobStarted
from ..transfer import export_project, exported, import_labels
from .people import Person, Work
from .uploads import content_of

router = APIRouter(prefix="/api", tags=["jobs"])


@router.get("/jobs/{job}")
def read_job(work: Work, person: Person, job: str) -> JobOut:
    """How far a job is."""
    return JobOut(**as_dict(work.jobs.get(job, person)))


@router.get("/jobs/{job}/events", response_class=EventSourceResponse)
async def watch_job(work: Work, person: Person, job: str) -> AsyncIterator[ServerSentEvent]:
    """How far a job is, as it happens: events `job`, until it is over."""
    async for state in work.jobs.watch(job, person):
        yield ServerSentEvent(event="job", data=as_dict(state))


@router.delete("/jobs/{job}")
def cancel_job(work: Work, person: Person, job: str) -> JobOut:
    """End a job early."""
    return JobOut(**as_dict(work.jobs.cancel(job, person)))


@router.post("/export")
def begin_export(work: Work, person: Person, given: ExportIn) -> JobStarted:
    """Begin to write the project's masks as a zip; the job's result says where it lies."""
    job = work.jobs.start("export", person, lambda progress: export_project(work, given, progress))
    return JobStarted(job=job.id)


@router.get("/exports/{name}", response_class=FileResponse)
def read_export(work: Work, _: Person, name: str) -> FileResponse:
    """A zip that was exported."""
    path = exported(work, name)
    if path is None:
        raise MissingError(f"export {name}: there is none; export again")
    return FileResponse(path, filename=name, media_type="application/zip")


@router.post("/import")
def begin_import(
    work: Work, person: Person, file: Annotated[UploadFile, File()], format: Annotated[str, Form()] = "auto"
) -> JobStarted:
    """Begin to take over masks of photos of the same names from a zip or a file of labels."""
    content, name = content_of(work, file), file.filename or "labels"

    def run(progress: Progress) -> dict[str, Any]:
        return import_labels(work, person, name, content, format, progress)

    return JobStarted(job=work.jobs.start("import", person, run).id)
