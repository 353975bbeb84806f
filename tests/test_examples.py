"""Every example runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_overview(tmp_path):
    out = tmp_path / "overview.jpg"
    subprocess.run([sys.executable, EXAMPLES / "overview.py", out], check=True, cwd=tmp_path)
    with Image.open(out) as picture:
        assert picture.height == 300 and picture.width > 600
