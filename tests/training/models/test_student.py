"""The student: torchvision's ResNet18 where it claims to be, the paper's size and cost, any image size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vskd.contract import Contract, GafSpec, WindowSpec
from vskd.errors import ConfigError
from vskd_training.models.output import FEATURE_SIZE
from vskd_training.models.resnet import resnet_trunk
from vskd_training.models.student import Student, gaf_resnet
from vskd_training.models.torchvision_import import torchvision_resnet

torch.set_num_threads(1)


def contract(*, size: int = 64, fields: tuple[str, ...] = ("gadf",), classes: int = 27) -> Contract:
    return Contract(
        labels=tuple(f"action {index}" for index in range(classes)),
        window=WindowSpec(samples=128),
        gaf=GafSpec(fields=fields, size=size),  # type: ignore[arg-type]
    )


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def multiply_accumulates(network: Student, image: Tensor) -> int:
    total = 0

    def hook(module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal total
        weight = module.get_parameter("weight")
        total += output.numel() * weight[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(hook)
    with torch.no_grad():
        network.eval().from_encoded(image)
    return total


@pytest.mark.parametrize("depth", [18, 34])
def test_the_full_width_trunk_has_torchvisions_keys_and_shapes(depth: int) -> None:
    ours = resnet_trunk(3, width=1.0, depth=depth).state_dict()
    theirs = getattr(torchvision_resnet(), f"resnet{depth}")().state_dict()
    expected = {key: value.shape for key, value in theirs.items() if not key.startswith("fc.")}
    assert {key: value.shape for key, value in ours.items()} == expected
    assert list(ours) == list(expected)


@pytest.mark.parametrize("depth", [10, 18, 34])
def test_depth_counts_the_layers_with_weights(depth: int) -> None:
    trunk = resnet_trunk(3, width=0.25, depth=depth)
    # A shortcut's 1 x 1 convolution is not counted, the last linear layer is.
    counted = [module for module in trunk.modules() if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1)]
    assert len(counted) + 1 == depth
    assert trunk(torch.zeros(2, 3, 64, 64)).shape == (2, 128)


@pytest.mark.parametrize("size", [64, 224])
def test_torchvisions_weights_give_torchvisions_pooled_vector(size: int) -> None:
    torch.manual_seed(1)
    reference = torchvision_resnet().resnet18().eval()
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    state = {key: value for key, value in reference.state_dict().items() if not key.startswith("fc.")}
    trunk = resnet_trunk(3, width=1.0).eval()
    trunk.load_state_dict(state, strict=True)
    reference.fc = nn.Identity()
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        pooled = trunk(images)
        assert pooled.shape == (2, 512)
        assert pooled.abs().max() > 0
        torch.testing.assert_close(pooled, reference(images), rtol=0, atol=0)


def test_sizes_of_the_paper() -> None:
    full = gaf_resnet(contract(), width=1.0)
    # The trunk of torchvision (11,689,512 less its last layer), 512 -> 300, 300 -> 27.
    assert parameters(full) == 11_689_512 - 513_000 + 512 * 300 + 300 + 300 * 27 + 27
    assert parameters(full) == pytest.approx(11.34e6, rel=0.001)
    assert parameters(resnet_trunk(3, width=0.25)) == pytest.approx(0.70e6, rel=0.005)
    assert parameters(gaf_resnet(contract(), width=0.25)) == pytest.approx(0.75e6, rel=0.005)
    assert full.trunk.out_features == 512
    assert resnet_trunk(3, width=0.25).out_features == 128


@pytest.mark.parametrize(
    ("width", "size", "millions"), [(1.0, 64, 148), (1.0, 96, 333), (1.0, 128, 592), (0.25, 64, 11)]
)
def test_costs_of_the_method(width: float, size: int, millions: int) -> None:
    cost = multiply_accumulates(gaf_resnet(contract(size=size), width=width), torch.zeros(1, 3, size, size))
    assert cost / 1e6 == pytest.approx(millions, abs=0.6)


@pytest.mark.parametrize("size", [48, 64, 96])
@pytest.mark.parametrize(("fields", "channels"), [(("gadf",), 3), (("gasf", "gadf"), 6)])
@pytest.mark.parametrize("width", [0.25, 1.0])
def test_any_image(size: int, fields: tuple[str, ...], channels: int, width: float) -> None:
    student = gaf_resnet(contract(size=size, fields=fields), width=width).eval()
    windows = torch.randn(2, 3, 128)
    with torch.no_grad():
        images = student.encoder(windows)
        assert images.shape == (2, channels, size, size)
        view = student(windows)
        again = student.from_encoded(images)
    assert view.logits.shape == (2, 27)
    assert view.feature.shape == (2, FEATURE_SIZE) == (2, 300)
    assert view.feature.min() >= 0
    assert view.feature.max() > 0
    torch.testing.assert_close(view.logits, again.logits, rtol=0, atol=0)
    torch.testing.assert_close(view.logits, student.classifier(view.feature), rtol=0, atol=0)


@pytest.mark.parametrize("width", [0.125, 0.25, 0.5, 0.75, 2.0])
def test_a_width_scales_every_stage(width: float) -> None:
    trunk = resnet_trunk(3, width=width)
    first = round(64 * width)
    outputs = [trunk.get_submodule(f"layer{stage}")[-1].conv2.out_channels for stage in range(1, 5)]  # type: ignore[index]
    assert outputs == [first, 2 * first, 4 * first, 8 * first]
    assert trunk.get_submodule("conv1").out_channels == first
    with torch.no_grad():
        assert trunk.eval()(torch.randn(1, 3, 48, 48)).shape == (1, 8 * first)


@pytest.mark.parametrize("width", [0.0, -1.0, 0.1, float("nan")])
def test_a_width_of_less_than_an_eighth_is_refused(width: float) -> None:
    with pytest.raises(ConfigError, match=rf"at least 0\.125 \(8 channels in its first stage\), got {width}"):
        resnet_trunk(3, width=width)


@pytest.mark.parametrize(("width", "channels"), [(1.0, 3), (1.0, 6), (0.25, 3), (0.25, 6)])
def test_every_convolution_starts_as_torchvision_starts_it(width: float, channels: int) -> None:
    torch.manual_seed(0)
    for name, module in resnet_trunk(channels, width=width).named_modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.kernel_size[0] * module.kernel_size[1]
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.15), name
            assert module.bias is None


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    student = gaf_resnet(contract(size=48, fields=("gasf", "gadf")), width=0.25)
    view = student(torch.randn(8, 3, 128))
    (view.logits.square().sum() + view.feature.sum()).backward()
    idle = [name for name, value in student.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


def test_the_encoder_is_not_saved_with_the_weights() -> None:
    assert not [key for key in gaf_resnet(contract(), width=0.25).state_dict() if key.startswith("encoder")]
