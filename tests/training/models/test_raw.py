"""The raw students: the same encoder as numpy's, their shapes, their costs, and that all of them learns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vskd.contract import Contract, RawSpec, WindowSpec
from vskd.encoders import encoder_for
from vskd.errors import ConfigError
from vskd_training.models.build import build_student
from vskd_training.models.output import FEATURE_SIZE
from vskd_training.models.raw import RawResnet, RawSeparable, RawShape
from vskd_training.models.student import Student
from vskd_training.settings import StudentConfig

torch.set_num_threads(1)

FAMILIES = ("raw-resnet", "raw-separable")


def contract(*transforms: str, samples: int = 64) -> Contract:
    raw = RawSpec(transforms=transforms or ("tanh", "centred"))  # type: ignore[arg-type]
    return Contract(labels=("a", "b", "c"), window=WindowSpec(samples=samples), gaf=None, raw=raw)


def build(family: str, *, transforms: tuple[str, ...] = (), **keys: int) -> Student:
    return build_student(StudentConfig(family=family, **keys), contract(*transforms))  # type: ignore[arg-type]


@pytest.mark.parametrize("transforms", [("g",), ("tanh",), ("centred",), ("tanh", "centred"), ("g", "tanh", "centred")])
def test_torch_gives_numpys_channels(transforms: tuple[str, ...]) -> None:
    windows = np.random.default_rng(1).normal(0, 4, (7, 3, 64)).astype(np.float32)
    windows[0] *= 1e6
    student = build("raw-separable", transforms=transforms)
    in_torch = student.encoder(torch.from_numpy(windows)).numpy()
    np.testing.assert_allclose(in_torch, encoder_for(contract(*transforms))(windows), atol=5e-7)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_windows_to_logits_and_feature(family: str, stride: int) -> None:
    student = build(family, channels=8, kernel=5, stride=stride).eval()
    windows = torch.randn(4, 3, 64)
    with torch.no_grad():
        output = student(windows)
        again = student.from_encoded(student.encoder(windows))
    assert output.logits.shape == (4, 3)
    assert output.feature.shape == (4, FEATURE_SIZE)
    assert output.feature.min() >= 0
    torch.testing.assert_close(output.logits, again.logits, rtol=0, atol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_window_is_judged_alone(family: str) -> None:
    student = build(family, channels=8).eval()
    windows = torch.randn(5, 3, 64)
    with torch.no_grad():
        together, alone = student(windows).logits, torch.cat([student(one[None]).logits for one in windows])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_gets_a_gradient(family: str) -> None:
    torch.manual_seed(0)
    student = build(family, channels=8)
    output = student(torch.randn(8, 3, 64))
    (output.logits.square().sum() + output.feature.sum()).backward()
    idle = [name for name, value in student.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


def parameters(module: nn.Module) -> int:
    return sum(value.numel() for value in module.parameters())


def test_parameters_by_hand() -> None:
    def norm(channels: int) -> int:
        return 2 * channels

    widths, k = (8, 12, 16), 5  # 8, 12 and 18, the last one rounded to a multiple of 4
    shape = RawShape(channels=8, growth=1.5, blocks=2, kernel=k, stride=2, segments=1)
    stem = 6 * 8 * k + norm(8)
    pairs = [(8, 8), (8, 8), (8, 12), (12, 12), (12, 16), (16, 16)]
    assert [width for width, _ in shape.steps()] == [b for _, b in pairs]
    assert [stride for _, stride in shape.steps()] == [1, 1, 2, 1, 2, 1]
    mains = sum(a * b * k + norm(b) + b * b * k + norm(b) for a, b in pairs)
    around = sum(a * b + norm(b) for a, b in pairs if a != b)
    assert parameters(RawResnet(6, shape)) == stem + mains + around
    blocks = sum(a * k + norm(a) + a * b + norm(b) for a, b in pairs)
    assert parameters(RawSeparable(6, shape)) == stem + blocks
    assert RawSeparable(6, shape).out_features == widths[-1]


@pytest.mark.parametrize("trunk", [RawResnet, RawSeparable])
def test_a_convolution_over_time_is_the_one_of_one_dimension(
    trunk: Callable[[int, RawShape], nn.Module],
) -> None:
    """What the height-1 form computes, computed as ``conv1d``."""
    made = trunk(6, RawShape(channels=8, growth=1.5, blocks=1, kernel=5, stride=2, segments=1))
    first = next(module for module in made.modules() if isinstance(module, nn.Conv2d))
    signal = torch.randn(2, 6, 40)
    expected: Tensor = nn.functional.conv1d(signal, first.weight.squeeze(2), stride=2, padding=2)
    torch.testing.assert_close(first(signal.unsqueeze(2)).squeeze(2), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"channels": 16}, "student.channels = 16 has no meaning for student.family = 'gaf-resnet'"),
        ({"family": "raw-resnet", "kernel": 4}, "student.kernel must be odd"),
        ({"family": "raw-resnet", "channels": 2}, r"student.channels must lie in \[4, 512\], got 2"),
        (
            {"family": "raw-resnet", "growth": 3.0},
            r"blocks in \[1, 4\], got 3 and 2",
        ),
        ({"family": "raw-separable", "stride": 9}, r"student.stride must lie in \[1, 8\], got 9"),
    ],
)
def test_a_network_that_cannot_be_is_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StudentConfig(**keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_segment_is_the_mean_of_its_part_of_the_window(family: str) -> None:
    torch.manual_seed(0)
    student = build(family, channels=8, kernel=3, segments=4).eval()
    windows = torch.randn(2, 3, 64)
    with torch.no_grad():
        signal = student.trunk.blocks(student.encoder(windows).unsqueeze(2)).squeeze(2)
        pooled = student.trunk(student.encoder(windows))
    assert pooled.shape == (2, student.trunk.out_features)
    expected = torch.cat([part.mean(dim=2) for part in signal.split(2, dim=2)], dim=1)
    torch.testing.assert_close(pooled, expected, rtol=0, atol=1e-6)


def test_segments_that_do_not_divide_the_window_share_instants() -> None:
    torch.manual_seed(0)
    student = build("raw-resnet", channels=8, kernel=3, segments=3).eval()
    windows = torch.randn(2, 3, 64)
    with torch.no_grad():
        signal = student.trunk.blocks(student.encoder(windows).unsqueeze(2)).squeeze(2)
        pooled = student.trunk(student.encoder(windows))
    parts = signal[..., 0:4], signal[..., 2:6], signal[..., 4:8]
    torch.testing.assert_close(pooled, torch.cat([part.mean(dim=2) for part in parts], dim=1), rtol=0, atol=1e-6)


def test_segments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="segments = 9 are more than the 8 instants that the last block gives"):
        build("raw-resnet", segments=9)
    with pytest.raises(ConfigError, match=r"student.segments must lie in \[1, 16\], got 0"):
        StudentConfig(family="raw-resnet", segments=0)


@pytest.mark.parametrize(("samples", "stride"), [(64, 2), (64, 3), (65, 4), (100, 1)])
def test_the_steps_left_are_those_of_the_network(samples: int, stride: int) -> None:
    shape = RawShape(channels=8, growth=1.0, blocks=1, kernel=5, stride=stride, segments=1)
    left = RawSeparable(3, shape).blocks(torch.zeros(1, 3, 1, samples)).shape[3]
    assert shape.steps_left(samples) == left
