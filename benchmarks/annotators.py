"""Many annotators at once: how long their saves take on one server with PostgreSQL, and whether any is lost.

    python benchmarks/annotators.py [--people 20] [--seconds 120]

Starts PostgreSQL (Debian's package) and `anymask annotate` on loopback. Each person opens a photo of their own, fetches
its picture and its embedding, and saves a mask every second on average, some of them altered, undone and removed; after
eight saves they go to their next photo. At the end the server's masks are compared with what was saved.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

import annotating  # noqa: E402
import postgresql  # noqa: E402

from anymask.task import rle  # noqa: E402

RESULT = ROOT / "benchmarks" / "results" / "annotators.json"
SAVES_A_PHOTO = 8
PHOTOS_A_PERSON = 40


class Person:
    """Somebody who annotates, photo after photo."""

    def __init__(self, number: int, address: str, images: list[dict[str, Any]]) -> None:
        self.number = number
        self.address = address
        self.images = images
        self.random = random.Random(number)
        self.saves: list[float] = []
        self.errors: list[str] = []
        self.expected: dict[int, set[str]] = {}

    async def work(self, until: float) -> None:
        """Annotate until a moment of `time.monotonic`."""
        headers = {"X-Anymask": "1"}
        async with aiohttp.ClientSession(self.address, headers=headers) as session:
            await self.ask(session, "POST", "/api/login", json={"name": f"person {self.number}"})
            for image in self.images:
                if time.monotonic() > until:
                    return
                await self.annotate(session, image, until)

    async def annotate(self, session: aiohttp.ClientSession, image: dict[str, Any], until: float) -> None:
        """Open a photo, save some masks and go on."""
        at = f"/api/images/{image['id']}"
        version = (await self.ask(session, "POST", f"{at}/lease"))["version"]
        for what in ("", "/preview", "/embedding"):
            await self.ask(session, "GET", at + what)
        there = self.expected.setdefault(image["id"], set())
        last = ""
        for _ in range(SAVES_A_PHOTO):
            await asyncio.sleep(self.random.uniform(0.5, 1.5))
            if time.monotonic() > until:
                break
            change, there = self.change(image, there, last)
            start = time.perf_counter()
            given = {"base_version": version, "changes": [change]}
            saved = await self.ask(session, "POST", f"{at}/changes", json=given)
            self.saves.append(time.perf_counter() - start)
            if "version" in saved:
                version, self.expected[image["id"]] = saved["version"], there
                last = change["id"] if change["kind"] == "put" else ""
        await self.ask(session, "DELETE", f"{at}/lease")

    def change(self, image: dict[str, Any], there: set[str], last: str) -> tuple[dict[str, Any], set[str]]:
        """Something to do, and the masks that the photo has then."""
        chance = self.random.random()
        if last and chance < 0.1:
            return {"id": str(uuid4()), "kind": "undo", "of": last}, there - {self.latest}
        if there and chance < 0.2:
            gone = self.random.choice(sorted(there))
            return {"id": str(uuid4()), "kind": "remove", "object_id": gone}, there - {gone}
        self.latest = str(uuid4())
        thing = {"id": self.latest, "segmentation": self.mask(image), "score": 0.9}
        prompts = [{"kind": "point", "x": 10, "y": 10, "label": 1}]
        return {"id": str(uuid4()), "kind": "put", "object": thing, "prompts": prompts}, there | {self.latest}

    def mask(self, image: dict[str, Any]) -> rle.RLE:
        """A disc with a ragged edge."""
        y, x = np.mgrid[: image["height"], : image["width"]]
        cx, cy = self.random.uniform(0, image["width"]), self.random.uniform(0, image["height"])
        radius = self.random.uniform(20, 100) * (1 + 0.05 * np.sin(20 * np.arctan2(y - cy, x - cx)))
        return rle.encode(np.hypot(x - cx, y - cy) < radius)

    async def ask(self, session: aiohttp.ClientSession, verb: str, path: str, **more: Any) -> Any:
        """An answer, noted where it is an error."""
        try:
            async with session.request(verb, path, **more) as answer:
                content = await answer.read()
                if answer.status >= 400:
                    self.errors.append(f"{verb} {path}: {answer.status} {content[:200]!r}")
                return json.loads(content) if answer.content_type == "application/json" else {}
        except aiohttp.ClientError as error:
            self.errors.append(f"{verb} {path}: {error!r}")
            return {}


def percentile(values: list[float], part: float) -> float:
    """In milliseconds."""
    return round(1000 * float(np.percentile(values, part)), 1)


async def measure(address: str, count: int, seconds: float) -> dict[str, Any]:
    """Let people work, and compare what is there with what they saved."""
    async with aiohttp.ClientSession(address) as session:
        async with session.get("/api/images?limit=500") as answer:
            images = [image for image in (await answer.json())["images"] if not image["problem"]]
        people = [Person(i, address, images[i::count]) for i in range(count)]
        until = time.monotonic() + seconds
        await asyncio.gather(*(person.work(until) for person in people))
        lost = 0
        for person in people:
            for image, expected in person.expected.items():
                async with session.get(f"/api/images/{image}") as answer:
                    found = {thing["id"] for thing in (await answer.json())["objects"]}
                lost += len(expected ^ found)
    saves = [seconds for person in people for seconds in person.saves]
    errors = [error for person in people for error in person.errors]
    return {
        "people": count,
        "seconds": seconds,
        "photos": sum(len(person.expected) for person in people),
        "saves": len(saves),
        "errors": len(errors),
        "first errors": errors[:5],
        "lost or doubled": lost,
        "save, ms": {"median": percentile(saves, 50), "p95": percentile(saves, 95), "most": percentile(saves, 100)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--write", action="store_true", help="keep the figures in benchmarks/results")
    given = parser.parse_args()
    photos = sorted((ROOT / "examples" / "photos").glob("*.jpg"))
    with tempfile.TemporaryDirectory() as folder, postgresql.server() as url:
        (Path(folder) / "photos").mkdir()
        for i in range(min(500, PHOTOS_A_PERSON * given.people)):
            shutil.copy(photos[i % len(photos)], Path(folder) / "photos" / f"{i:04}.jpg")
        with annotating.running(f"{folder}/photos", "--database", url) as (_, address):
            result = asyncio.run(measure(address, given.people, given.seconds))
    print(json.dumps(result, indent=2))
    if given.write:
        RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
