"""`import anymask` is quick, loads nothing heavy and offers the public names."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import anymask

PUBLIC_NAMES = {
    "Describer",
    "GazeTracker",
    "predict_boxes",
    "predict_similar",
    "AnymaskError",
    "EmbeddingCache",
    "Prompt",
    "Refinement",
    "ResizeLongestSide",
    "Sam",
    "SamAutomaticMaskGenerator",
    "SamPredictor",
    "TilePredictor",
    "__version__",
    "build_sam",
    "build_sam_vit_b",
    "build_sam_vit_h",
    "build_sam_vit_l",
    "everything_in_tiles",
    "load_model",
    "read_image",
    "sam_model_registry",
}

IMPORT = """
import json, sys, time
start = time.perf_counter()
import anymask
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "modules": sorted(sys.modules)}))
"""


def import_afresh() -> dict[str, Any]:
    """Seconds that the import took in a new interpreter, and all modules loaded after it."""
    done = subprocess.run([sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_import_is_quick() -> None:
    assert min(import_afresh()["seconds"] for _ in range(3)) < 0.2


def test_import_loads_nothing_heavy() -> None:
    assert not {"torch", "numpy", "cv2", "PIL"} & set(import_afresh()["modules"])


def test_public_names() -> None:
    assert set(anymask.__all__) == set(dir(anymask)) == PUBLIC_NAMES
    for name in PUBLIC_NAMES:
        assert getattr(anymask, name) is not None


def test_unknown_name_is_refused() -> None:
    assert not hasattr(anymask, "no_such_name")
