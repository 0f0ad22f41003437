"""The networks of the systems: sizes and costs that were published, how vectors fold, attention, losses, ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from serkit.models.graph import vector_graph
from serkit.models.losses import FocalLoss
from serkit.models.network_registry import NETWORKS, make_network, network_parameters, sees_time
from serkit.models.system_networks import ECACNN, Attention, CNNBiLSTM, Dense, FramesCNN, VectorCNN

# A small one of each, with the length of its vector.
SMALL: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "dense": (lambda: Dense(20, 3, hidden=[12, 8]), 20),
    "attention": (lambda: Attention(9, 3, width=8, heads=2), 9),
    "cnn1d": (lambda: VectorCNN(40, 3), 40),
    "cnn_frames": (lambda: FramesCNN(5, 3, widths=[8, 12]), 5 * 18),
    "cnn_bilstm": (lambda: CNNBiLSTM(5, 3, channels=[8, 6], hidden=7), 5 * 18),
    "eca_cnn": (lambda: ECACNN(12, 3, windows=3, width=4), 12 * 18),
}


def made(name: str, seed: int = 0) -> tuple[nn.Module, int]:
    """A small network whose batch norms have seen something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net, n = SMALL[name][0](), SMALL[name][1]
        with torch.no_grad():
            for _ in range(3):
                net(2 * torch.randn(16, n) + 1)
    return net.eval(), n


def flops(net: nn.Module, n_features: int) -> int:
    """Floating-point operations of one clip, two for each multiplication with addition, as torch counts them."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        net.to("meta").eval()(torch.zeros(1, n_features, device="meta"))  # shapes only: nothing is worked out
    return counter.get_total_flops()


def numbers(net: nn.Module) -> int:
    """What Keras counts: weights, running means and variances."""
    counters = sum("num_batches_tracked" in name for name in net.state_dict())
    return sum(value.numel() for value in net.state_dict().values()) - counters


def seen_by(net: nn.Module, layer: nn.Module, x: Tensor) -> Tensor:
    """What goes into ``layer`` when ``net`` looks at ``x``."""
    seen: list[Tensor] = []
    with layer.register_forward_pre_hook(lambda _, given: seen.append(given[0])), torch.inference_mode():
        net(x)
    return seen[0]


# --- sizes and costs --------------------------------------------------------------------------------------------------


def test_s3s_network_has_the_size_that_was_published() -> None:
    assert numbers(VectorCNN(2376, 8)) == 7_193_736


def test_s3s_network_halves_the_vector_five_times() -> None:
    net = VectorCNN(2376, 8).to("meta").eval()
    lengths: list[int] = []
    for layer in net.modules():
        if isinstance(layer, nn.MaxPool2d):
            layer.register_forward_hook(lambda _, x, y: lengths.append(y.shape[3]))
    with torch.inference_mode():
        net(torch.zeros(1, 2376, device="meta"))
    assert lengths == [1188, 594, 297, 149, 75]
    kinds = [(c.out_channels, c.kernel_size) for c in net.modules() if isinstance(c, nn.Conv2d)]
    assert kinds == [(512, (1, 5)), (512, (1, 5)), (256, (1, 5)), (256, (1, 3)), (128, (1, 3))]


def test_the_frames_cost_a_fiftieth_of_the_vector() -> None:
    vector = flops(VectorCNN(2376, 8), 2376)
    # convolutions: 2 * length * kernel * inputs * outputs; then the two dense layers
    by_hand = 2 * (
        2376 * 5 * 512
        + 1188 * 5 * 512 * 512
        + 594 * 5 * 512 * 256
        + 297 * 3 * 256 * 256
        + 149 * 3 * 256 * 128
        + 75 * 128 * 512
        + 512 * 8
    )
    assert vector == by_hand == pytest.approx(4.06e9, rel=1e-3)
    assert vector / 70 < flops(FramesCNN(22, 8), 2376) <= vector / 50


def test_the_spectrogram_network_is_small() -> None:
    net = ECACNN(192, 8, windows=3)
    assert 0.5e6 < numbers(net) < 1e6
    assert flops(net, 192 * 188) < 250e6


# --- what all have in common ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_clip_gets_the_same_logits_alone_and_in_a_batch(name: str) -> None:
    net, n = made(name)
    x = torch.randn(5, n, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        together = net(x)
        alone = torch.cat([net(x[k : k + 1]) for k in range(5)])
    assert together.shape == (5, 3)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert (together[0] - together[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_weight_and_every_input_has_a_say(name: str) -> None:
    net, n = made(name)
    for layer in net.modules():  # pooling hides some inputs in any one clip, so many clips are asked
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    x = torch.randn(64, n, generator=torch.Generator().manual_seed(2), requires_grad=True)
    net.train()(x).square().sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().amax(0) > 0).all()
    silent = [key for key, weight in net.named_parameters() if weight.grad is None or not weight.grad.abs().max() > 0]
    assert silent == []


@pytest.mark.parametrize("name", sorted(SMALL))
def test_onnx_gives_the_networks_probabilities(name: str) -> None:
    net, n = made(name)
    model = vector_graph(net, n, temperature=1.7)
    session = ort.InferenceSession(model.SerializeToString())
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("input", [1, n])]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("probabilities", [1, 3])]
    assert {entry.version for entry in model.opset_import if not entry.domain} == {18}
    x = 2 * torch.randn(6, n, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        want = (net(x) / 1.7).softmax(1).numpy()
    got = np.concatenate([session.run(["probabilities"], {"input": row[None]})[0] for row in x.numpy()])
    np.testing.assert_allclose(got, want, atol=1e-6)


# --- how vectors fold -------------------------------------------------------------------------------------------------


def test_frames_come_in_row_after_row() -> None:
    matrix = torch.arange(5 * 18.0).reshape(5, 18)
    for name in ("cnn_frames", "cnn_bilstm"):
        net, _ = made(name)
        seen = seen_by(net, net.body, matrix.reshape(1, -1))[0]
        torch.testing.assert_close(seen.reshape(len(seen), -1), matrix)


def test_spectrograms_become_channels() -> None:
    short, middle, long = (torch.full((4, 18), v) + torch.arange(4.0)[:, None] for v in (100.0, 200.0, 300.0))
    net, _ = made("eca_cnn")
    seen = seen_by(net, net.body, torch.cat([short, middle, long]).reshape(1, -1))
    torch.testing.assert_close(seen[0], torch.stack([short, middle, long]))


def test_rows_that_are_no_spectrograms_of_equal_height_are_refused() -> None:
    with pytest.raises(ValueError, match="10 rows do not divide into 3 spectrograms of equal height"):
        ECACNN(10, 8, windows=3)
    with pytest.raises(ValueError, match="width must be a multiple of heads, got 9 and 2"):
        Attention(5, 8, width=9, heads=2)


# --- attention --------------------------------------------------------------------------------------------------------


def test_channel_attention_is_a_convolution_over_channel_means() -> None:
    net, _ = made("cnn_frames")
    attention = net.body[3].attention
    x = torch.randn(2, 8, 1, 11, generator=torch.Generator().manual_seed(4))
    kernel = attention.across.weight.detach().numpy().ravel()
    with torch.inference_mode():
        got = attention(x).numpy()
    for clip, result in zip(x.numpy(), got, strict=True):
        means = np.pad(clip.mean((1, 2)), 2)
        score = np.array([means[k : k + 5] @ kernel for k in range(8)])
        np.testing.assert_allclose(result, clip / (1 + np.exp(-score))[:, None, None], atol=1e-6)


def test_a_block_attends_as_torchs_own_multi_head_attention() -> None:
    net, _ = made("attention")
    block = net.blocks[0]
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    theirs.load_state_dict(
        {
            "in_proj_weight": block.qkv.weight,
            "in_proj_bias": block.qkv.bias,
            "out_proj.weight": block.out[0].weight,
            "out_proj.bias": block.out[0].bias,
        }
    )
    x = torch.randn(4, 9, 8, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        h = block.norm1(x)
        h = x + theirs(h, h, h, need_weights=False)[0]
        torch.testing.assert_close(block(x), h + block.dense(h), atol=1e-5, rtol=1e-5)


def test_the_place_of_a_feature_in_the_vector_means_nothing_to_attention() -> None:
    net, n = made("attention")
    x = torch.randn(3, n, generator=torch.Generator().manual_seed(6))
    order = torch.randperm(n, generator=torch.Generator().manual_seed(7))
    with torch.inference_mode():
        before = net(x)
        assert (net(x[:, order]) - before).abs().max() > 1e-3  # another value for each feature
        net.scale.copy_(net.scale[order])
        net.offset.copy_(net.offset[order])
        torch.testing.assert_close(net(x[:, order]), before, atol=1e-5, rtol=1e-5)


# --- by name ----------------------------------------------------------------------------------------------------------


def test_parameters_are_the_defaults_and_what_is_given_over_them() -> None:
    assert network_parameters("attention", {"heads": 2}) == {"width": 32, "heads": 2, "blocks": 2, "dropout": 0.2}
    net = make_network("cnn_frames", {"widths": [6]}, n_features=40, n_classes=3, rows=4)
    assert net(torch.zeros(2, 40)).shape == (2, 3)
    assert {name for name in NETWORKS if sees_time(name)} == {"cnn_frames", "cnn_bilstm", "eca_cnn"}


@pytest.mark.parametrize(
    ("name", "net", "says"),
    [
        ("dense", {"hiden": [3]}, r"unknown key 'hiden' in \[net\] of 'dense': did you mean 'hidden'\?"),
        ("dense", {"n_classes": 3}, "unknown key 'n_classes'.*Known keys are hidden, dropout"),
        ("dense", [3], r"\[net\] must be a table, got \[3\]"),
        ("dense", {"hidden": 3}, "hidden in .* must be a list of integers of at least 1, got 3"),
        ("dense", {"hidden": [16, 0]}, r"at least 1, got \[16, 0\]"),
        ("dense", {"dropout": 1.0}, "dropout in .* must be a number from 0 to below 1, got 1.0"),
        ("dense", {"dropout": True}, "got True"),
        ("attention", {"heads": 0}, "heads in .* must be an integer of at least 1, got 0"),
        ("attention", {"blocks": 1.5}, "got 1.5"),
        ("eca_cnn", {"windows": 0}, "windows in .* must be an integer of at least 1, got 0"),
        ("cnn_frames", {"widths": []}, r"widths in .* must be a list of integers of at least 1, got \[\]"),
    ],
)
def test_impossible_networks_are_refused(name: str, net: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        network_parameters(name, net)


@pytest.mark.parametrize("rows", [None, 7])
def test_a_vector_that_cannot_be_folded_is_refused(rows: int | None) -> None:
    with pytest.raises(ValueError, match=rf"\(40,\) does not fit \({rows}, frames\)"):
        make_network("cnn_frames", None, n_features=40, n_classes=8, rows=rows)


# --- focal loss -------------------------------------------------------------------------------------------------------

LOGITS = arrays(np.float64, (4, 3), elements=st.floats(-6, 6))


@given(LOGITS, st.floats(0, 5), arrays(np.float64, 3, elements=st.floats(0.1, 5)))
def test_focal_loss_is_its_formula(logits: np.ndarray, gamma: float, weight: np.ndarray) -> None:
    target = [0, 2, 1, 2]
    p = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True))[np.arange(4), target]
    w = weight[target]
    want = (w * (1 - p) ** gamma * -np.log(p)).sum() / w.sum()
    got = FocalLoss(gamma, torch.from_numpy(weight))(torch.from_numpy(logits), torch.tensor(target))
    assert got.item() == pytest.approx(want, rel=1e-6, abs=1e-9)


@given(LOGITS, arrays(np.float64, (4, 3), elements=st.floats(0.01, 1)))
def test_with_gamma_zero_it_is_cross_entropy(logits: np.ndarray, share: np.ndarray) -> None:
    x, weight = torch.from_numpy(logits), torch.tensor([1.0, 0.5, 3.0], dtype=torch.float64)
    target = torch.tensor([2, 1, 0, 2])
    torch.testing.assert_close(FocalLoss(0.0)(x, target), functional.cross_entropy(x, target))
    torch.testing.assert_close(FocalLoss(0.0, weight)(x, target), functional.cross_entropy(x, target, weight))
    soft = torch.from_numpy(share / share.sum(1, keepdims=True))
    torch.testing.assert_close(FocalLoss(0.0)(x, soft), functional.cross_entropy(x, soft))


def test_targets_that_are_sure_are_classes() -> None:
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(8))
    target = torch.tensor([0, 1, 2, 1, 0])
    weight = torch.tensor([1.0, 2.0, 4.0])
    for w in (None, weight):
        torch.testing.assert_close(
            FocalLoss(2.0, w)(x, target), FocalLoss(2.0, w)(x, functional.one_hot(target, 3).float())
        )


def test_a_clip_that_is_right_counts_less_than_under_cross_entropy() -> None:
    right, wrong = torch.tensor([[3.0, 0.0]]), torch.tensor([[-3.0, 0.0]])
    target = torch.tensor([0])
    share = [(loss(right, target) / loss(wrong, target)).item() for loss in (functional.cross_entropy, FocalLoss(2.0))]
    assert share[1] < share[0] / 100


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("target", [0, 1])
def test_gradients_are_finite_where_the_network_is_as_sure_as_can_be(gamma: float, target: int) -> None:
    x = torch.tensor([[200.0, 0.0, -200.0]], requires_grad=True)
    FocalLoss(gamma)(x, torch.tensor([target])).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    if target == 1:  # surely wrong: pulled as hard as by cross-entropy
        np.testing.assert_allclose(x.grad.numpy(), [[1.0, -1.0, 0.0]], atol=1e-6)
