"""Linear layers by oneDNN give what PyTorch's own give, and only those that are worth it go there."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from anymask.runtime.onednn import LEAST, LinearByOneDnn


@pytest.fixture()
def convolved(monkeypatch):
    """How many layers were computed as convolutions."""
    calls = []
    conv2d = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *args: calls.append(1) or conv2d(*args))
    return calls


@pytest.mark.parametrize("shape", [(LEAST, 24), (3, LEAST, 24), (2, 16, 32, 24)])
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_the_numbers_are_the_same(convolved, shape, bias):
    layer, x = nn.Linear(24, 40, bias=bias), torch.randn(shape)
    x = x.transpose(0, 1) if len(shape) == 3 else x
    with LinearByOneDnn():
        found = layer(x)
    assert convolved and found.shape == layer(x).shape
    torch.testing.assert_close(found, layer(x), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_small_and_narrow_layers_stay(convolved):
    with LinearByOneDnn():
        nn.Linear(24, 40)(torch.randn(LEAST - 1, 24))
        nn.Linear(24, 40, dtype=torch.bfloat16)(torch.randn(LEAST, 24, dtype=torch.bfloat16))
        nn.Linear(24, 40, dtype=torch.float64)(torch.randn(LEAST, 24, dtype=torch.float64))
        with torch.autocast("cpu", torch.bfloat16):
            assert nn.Linear(24, 40)(torch.randn(LEAST, 24)).dtype == torch.bfloat16
    nn.Linear(24, 40)(torch.randn(LEAST, 24))
    assert not convolved
