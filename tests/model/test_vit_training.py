"""What the ViT does in training alone: skipped branches, and activations computed twice."""

from __future__ import annotations

import pytest
import torch
from reference import fill_with_noise
from torch import Tensor

from anymask.errors import ConfigError
from anymask.model.config import ViTConfig
from anymask.model.vit import Block, ViTEncoder

CONFIG = ViTConfig(width=16, depth=5, heads=2, global_blocks=(1, 4), size=64, window=3)


@pytest.fixture()
def encoder() -> ViTEncoder:
    encoder = ViTEncoder(CONFIG, 8)
    fill_with_noise(encoder)
    return encoder


@pytest.fixture()
def pixels() -> Tensor:
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def gradients(encoder: ViTEncoder, pixels: Tensor) -> dict[str, Tensor]:
    """Of a loss that weighs every output differently."""
    torch.manual_seed(5)
    out = encoder(pixels)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    found = {}
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        found[name], parameter.grad = parameter.grad, None
    return found


# drop path


def test_the_rate_rises_linearly_over_the_blocks(encoder: ViTEncoder) -> None:
    keys = list(encoder.state_dict())
    encoder.set_drop_path(0.4)
    assert [block.drop_path for block in encoder.blocks] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert list(encoder.state_dict()) == keys


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5])
def test_a_rate_that_is_none_is_refused(encoder: ViTEncoder, rate: float) -> None:
    with pytest.raises(ConfigError, match="less than 1"):
        encoder.set_drop_path(rate)


@torch.no_grad()
def test_drop_path_is_for_training_alone(encoder: ViTEncoder, pixels: Tensor) -> None:
    before = encoder.eval()(pixels)
    encoder.train()
    state = torch.random.get_rng_state()
    encoder.set_drop_path(0)
    assert torch.equal(encoder(pixels), before)
    assert torch.equal(torch.random.get_rng_state(), state), "a rate of 0 draws nothing"
    encoder.set_drop_path(0.5)
    assert not torch.allclose(encoder(pixels), before)
    assert torch.equal(encoder.eval()(pixels), before)


@torch.no_grad()
@pytest.mark.parametrize("window", [0, 3])
def test_a_branch_is_skipped_for_whole_images_and_its_mean_stays(window: int) -> None:
    block = Block(8, 2, window, 4)
    fill_with_noise(block)
    for parameter in block.mlp.lin2.parameters():  # leaves the attention's branch alone
        parameter.zero_()
    x = torch.randn(1, 4, 4, 8, generator=torch.Generator().manual_seed(1))
    branch = block.eval()(x) - x
    assert branch.abs().max() > 0.1
    block.train().drop_path = 0.25
    torch.manual_seed(0)
    drawn = block(x.expand(4000, -1, -1, -1)) - x
    skipped = drawn.flatten(1).abs().amax(1) == 0
    assert skipped.float().mean() == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(drawn[~skipped], (branch / 0.75).expand_as(drawn[~skipped]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(drawn.mean(0), branch[0], atol=0.04 * float(branch.abs().max()), rtol=0)


# checkpointing


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_checkpointing_leaves_the_gradients(encoder: ViTEncoder, pixels: Tensor, rate: float) -> None:
    """Also with drop path, where the second pass must skip what the first one skipped."""
    encoder.set_drop_path(rate)
    plain = gradients(encoder, pixels)
    encoder.checkpointing = True
    for name, gradient in gradients(encoder, pixels).items():
        torch.testing.assert_close(gradient, plain[name], msg=name)


def test_checkpointing_computes_each_block_twice_in_training_alone(encoder: ViTEncoder, pixels: Tensor) -> None:
    calls = []
    for i, block in enumerate(encoder.blocks):
        block.attn.register_forward_hook(lambda *_, i=i: calls.append(i))
    encoder.checkpointing = True
    gradients(encoder, pixels)
    assert sorted(calls) == sorted([*range(CONFIG.depth)] * 2)
    calls.clear()
    gradients(encoder.eval(), pixels)
    assert calls == [*range(CONFIG.depth)]
