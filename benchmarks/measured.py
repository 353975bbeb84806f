"""What several benchmarks look at: the memory of a process, and samples spread over a set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anymask.dataset.sample import Sample


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
