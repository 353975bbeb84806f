"""Attention in parts, as CPUs do it without a gradient, and with the bias inside, as GPUs do, beside the whole."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from anymask.model import attention
from anymask.model.attention import PART, RelativeBias, attend, relative_bias

GRID = (17, 24)  # 408 cells: a part, and one that is cut short


def inputs(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, RelativeBias]:
    """Queries, keys, values (2×3×408×8) and a bias large enough to count."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 17 * 24, 8, generator=generator) for _ in range(3))
    rows, columns = (torch.randn(2 * side - 1, 8, generator=generator) for side in GRID)
    bias = relative_bias(q, rows, columns, GRID)
    return q.to(dtype), k.to(dtype), v.to(dtype), RelativeBias(*(term.to(dtype) for term in bias))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("way", ["_attend_by_parts", "_attend_by_heads", "_attend_with_bias_inside"])
def test_no_way_is_less_exact_than_the_whole(dtype: torch.dtype, way: str) -> None:
    q, k, v, bias = inputs(dtype)
    wide = [x.double() for x in (q, k, v, bias.rows, bias.columns)]
    exact = F.scaled_dot_product_attention(*wide[:3], attn_mask=RelativeBias(*wide[3:]).dense())
    with torch.no_grad():
        whole = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.dense())
        found = getattr(attention, way)(q, k, v, bias)
    assert found.dtype == dtype
    error, usual = ((each.double() - exact).norm() / exact.norm() for each in (found, whole))
    assert error < 1.5 * usual
    assert usual < (1e-6 if dtype == torch.float32 else 0.05)


def test_parts_hold_their_own_queries_only_and_leave_the_inputs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v, bias = inputs(torch.float32)
    assert q.shape[2] > PART
    before = [x.clone() for x in (q, k, v, *bias)]
    monkeypatch.setattr(RelativeBias, "dense", lambda bias: pytest.fail("the whole bias was made"))
    with torch.no_grad():
        attend(q, k, v, bias=bias)
    assert all(torch.equal(x, y) for x, y in zip((q, k, v, *bias), before, strict=True))


def test_the_gradient_is_that_of_the_whole() -> None:
    grads = []
    for way in (attention._attend_with_bias_inside, lambda q, k, v, bias: attend(q, k, v, bias=bias)):
        q, k, v, bias = inputs(torch.float32)
        leaves = [x.clone().requires_grad_() for x in (q, k, v, *bias)]
        (way(*leaves[:3], RelativeBias(*leaves[3:])) ** 2).sum().backward()
        grads.append([leaf.grad for leaf in leaves])
    for found, expected in zip(*grads, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_each_way_is_taken_where_it_suits(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = torch.zeros(1, 1, PART, 2), torch.zeros(1, 1, PART + 1, 2)
    with torch.no_grad():
        assert attention._way(few) is None
        assert attention._way(many) is attention._attend_by_parts
        assert attention._way(many.to("meta")) is None
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
        assert attention._way(many) is attention._attend_by_heads
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: False)
    assert attention._way(many) is None, "with a gradient"


def test_a_gradient_passes_through_large_attention() -> None:
    q, k, v, bias = inputs(torch.float32)
    attend(q.requires_grad_(), k, v, bias=bias).sum().backward()
    assert q.grad is not None and q.grad.abs().sum() > 0
