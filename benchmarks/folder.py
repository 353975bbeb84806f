"""Watches `anymask everything` on a folder: how its memory goes, and how busy the cores are.

    python benchmarks/folder.py PHOTOS --photos 2000 --preset objects --runtime openvino

Links the photos into a temporary folder, over and over until there are as many as asked for, runs the command with
all other options, and prints the memory whenever another tenth is done, then the photos an hour and the share
of the cores' time that the process had. Linux only, for memory is read from /proc.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from measured import resident

from anymask.dataset.sa1b import IMAGE_SUFFIXES

PAUSE = 0.5
"""seconds between two looks"""


def link(photos: Path, folder: Path, count: int) -> None:
    """Make a folder of so many links to the photos of another."""
    found = sorted(path for path in photos.resolve().rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        sys.exit(f"{photos}: holds no photos; expected files such as {', '.join(IMAGE_SUFFIXES)}")
    for i, path in enumerate(islice(cycle(found), count)):
        (folder / f"{i:06}{path.suffix.lower()}").symlink_to(path)


def main() -> None:
    """Run and watch the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder with photos, at any depth")
    parser.add_argument("--photos", type=int, default=2000)
    arguments, options = parser.parse_known_args()  # what it does not know goes to `anymask everything`
    with tempfile.TemporaryDirectory() as temporary:
        photos, out = Path(temporary, "photos"), Path(temporary, "masks")
        photos.mkdir()
        link(arguments.source, photos, arguments.photos)
        command = [sys.executable, "-m", "anymask", "everything", str(photos), "-o", str(out), *options]
        start, told = time.perf_counter(), 0
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while process.poll() is None:
                done = len(list(out.glob("*.json")))
                if done * 10 // arguments.photos > told:
                    told = done * 10 // arguments.photos
                    print(f"{done} photos: {resident('VmRSS', process.pid):.0f} MB", flush=True)
                time.sleep(PAUSE)
        took = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = (used.ru_utime + used.ru_stime) / (took * (os.cpu_count() or 1))
    if process.returncode:
        sys.exit(f"{' '.join(command)}: ended with {process.returncode}")
    print(f"peak {used.ru_maxrss / 1024:.0f} MB")
    print(f"{arguments.photos / took * 3600:.0f} photos an hour, cores busy {busy:.0%} of the time")


if __name__ == "__main__":
    main()
