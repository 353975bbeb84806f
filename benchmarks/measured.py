"""What several benchmarks share: the machine, memory, samples spread over a set, and tables in pages."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anymask
from anymask.dataset.sample import Sample
from anymask.files import replacing

END = "<!-- end of results -->"


def machine(**more: Any) -> dict[str, Any]:
    """What this is measured on."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), name)
    return {"cpu": name, **more, "python": platform.python_version(), "anymask": anymask.__version__}


def about(machine: dict[str, Any]) -> str:
    """What `machine` gave, in a line."""
    return "Measured on: " + ", ".join(f"{key} {value}" for key, value in machine.items())


def table_line(cells: Sequence[str]) -> str:
    """A line of a table of Markdown."""
    return f"| {' | '.join(cells)} |"


def put_tables(page: Path, begin: str, text: str) -> None:
    """Put a text where a page has that of earlier results, between `begin` and END."""
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(END)[2]
    with replacing(page) as temporary:
        temporary.write_text(f"{before}{begin}\n\n{text}\n\n{END}{after}", encoding="utf-8")


def resident(which: str, process: int | str = "self") -> float:
    """Memory of a process in MB, `VmRSS` now or `VmHWM` at its peak; 0 where nobody tells, as of one that has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{which}:")), 0.0)


def spread(samples: Sequence[Sample], count: int) -> Sequence[Sample]:
    """So many samples, evenly apart."""
    return samples[:: max(1, len(samples) // count)][:count]
