"""BN-Inception: names, sizes and cost of the public network, and the file of weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vskd.errors import DataError
from vskd_training.models.bn_inception import IMAGENET_MEAN_BGR, BnInception, load_imagenet_weights

torch.set_num_threads(1)

#: Entries of the public Caffe port, as its published definition lists them.
PUBLISHED = {
    "conv1_7x7_s2.weight": (64, 3, 7, 7),
    "conv1_7x7_s2.bias": (64,),
    "conv1_7x7_s2_bn.running_mean": (64,),
    "conv2_3x3_reduce.weight": (64, 64, 1, 1),
    "conv2_3x3.weight": (192, 64, 3, 3),
    "inception_3a_1x1.weight": (64, 192, 1, 1),
    "inception_3a_double_3x3_2_bn.weight": (96,),
    "inception_3a_pool_proj.weight": (32, 192, 1, 1),
    "inception_3b_3x3.weight": (96, 64, 3, 3),
    "inception_3c_3x3_reduce.weight": (128, 320, 1, 1),
    "inception_3c_double_3x3_2.weight": (96, 96, 3, 3),
    "inception_4a_1x1.weight": (224, 576, 1, 1),
    "inception_4b_double_3x3_1.weight": (128, 96, 3, 3),
    "inception_4c_pool_proj.weight": (128, 576, 1, 1),
    "inception_4d_1x1.weight": (96, 608, 1, 1),
    "inception_4d_double_3x3_reduce.weight": (160, 608, 1, 1),
    "inception_4e_3x3.weight": (192, 128, 3, 3),
    "inception_4e_double_3x3_2_bn.bias": (256,),
    "inception_5a_1x1.weight": (352, 1056, 1, 1),
    "inception_5a_double_3x3_reduce.weight": (160, 1056, 1, 1),
    "inception_5b_double_3x3_reduce.weight": (192, 1024, 1, 1),
    "inception_5b_pool_proj_bn.running_var": (128,),
}


@pytest.fixture
def network() -> BnInception:
    """Random weights and random statistics, so that no batch norm is the identity."""
    torch.manual_seed(0)
    made = BnInception()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return made.eval()


def test_parameters_and_names_are_the_public_ones(network: BnInception) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) == 10_270_240
    state = network.state_dict()
    assert {name: tuple(state[name].shape) for name in PUBLISHED} == PUBLISHED
    # 69 convolutions, each with weight and bias, each with a norm of five entries.
    assert len(state) == 69 * (2 + 5)
    assert not [name for name in state if name.startswith(("inception_3c_1x1", "inception_4e_pool_proj"))]


def test_multiply_accumulates_at_224_px(network: BnInception) -> None:
    counted: dict[str, int] = {}

    def hook(name: str, module: nn.Conv2d, output: Tensor) -> None:
        counted[name] = output.numel() * module.weight[0].numel()

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda m, _, out, name=name: hook(name, m, out))
    with torch.no_grad():
        assert network(torch.zeros(1, 3, 224, 224)).shape == (1, 1024)
    assert sum(counted.values()) == pytest.approx(2.03e9, rel=0.01)
    # The first convolution by hand: 112 x 112 pixels, 64 channels, 7 x 7 x 3 products.
    assert counted["conv1_7x7_s2"] == 112 * 112 * 64 * 147
    # Rounded-up pools: 112 -> 56 -> 28, halved by 3c to 14 and by 4e to 7.
    assert counted["inception_5b_1x1"] == 7 * 7 * 352 * 1024


def by_functions(state: dict[str, Tensor], images: Tensor) -> Tensor:
    """The network once more, written unit by unit from the published definition."""

    def conv(name: str, values: Tensor, stride: int = 1) -> Tensor:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        values = F.conv2d(values, weight, bias, stride, weight.shape[-1] // 2)
        mean, variance = (state[f"{name}_bn.running_{which}"].view(-1, 1, 1) for which in ("mean", "var"))
        scale, shift = (state[f"{name}_bn.{which}"].view(-1, 1, 1) for which in ("weight", "bias"))
        return torch.relu((values - mean) / torch.sqrt(variance + 1e-5) * scale + shift)

    def strided_pool(values: Tensor) -> Tensor:
        # Rounding up is padding at the far end with what never is the maximum.
        return F.max_pool2d(F.pad(values, (0, 1, 0, 1), value=-torch.inf), 3, 2)

    values = strided_pool(conv("conv1_7x7_s2", images, 2))
    values = strided_pool(conv("conv2_3x3", conv("conv2_3x3_reduce", values)))
    for unit in ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        name = f"inception_{unit}"
        stride = 2 if unit in ("3c", "4e") else 1
        three = conv(f"{name}_3x3", conv(f"{name}_3x3_reduce", values), stride)
        double = conv(f"{name}_double_3x3_1", conv(f"{name}_double_3x3_reduce", values))
        double = conv(f"{name}_double_3x3_2", double, stride)
        if stride == 2:
            values = torch.cat([three, double, strided_pool(values)], 1)
            continue
        if unit == "5b":
            pooled = F.max_pool2d(F.pad(values, (1, 1, 1, 1), value=-torch.inf), 3, 1)
        else:
            pooled = average(values)
        values = torch.cat([conv(f"{name}_1x1", values), three, double, conv(f"{name}_pool_proj", pooled)], 1)
    return values.flatten(2).mean(2)


def average(values: Tensor) -> Tensor:
    """3 x 3 mean whose border counts as zeros, by shifted sums."""
    height, width = values.shape[2:]
    padded = F.pad(values, (1, 1, 1, 1))
    shifted = [padded[..., row : row + height, column : column + width] for row in range(3) for column in range(3)]
    return torch.stack(shifted).sum(0) / 9


@pytest.mark.parametrize("side", [(64, 96), (32, 32)])
def test_forward_is_the_published_definition(network: BnInception, side: tuple[int, int]) -> None:
    network = network.double()
    images = torch.randn(2, 3, *side, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network(images), by_functions(network.state_dict(), images), rtol=1e-9, atol=1e-9)


def test_odd_sides_are_refused(network: BnInception) -> None:
    with pytest.raises(DataError, match="multiples of 32 px, got 48 x 64"):
        network(torch.zeros(1, 3, 48, 64))


def saved(network: BnInception) -> dict[str, Tensor]:
    """A state dict as the public file holds it, last layer included."""
    state = {name: value.clone() for name, value in network.state_dict().items()}
    return {**state, "last_linear.weight": torch.zeros(1000, 1024), "last_linear.bias": torch.zeros(1000)}


def write(state: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.safetensors"])
def test_weights_load(network: BnInception, tmp_path: Path, name: str) -> None:
    fresh = BnInception().eval()
    load_imagenet_weights(fresh, write(saved(network), tmp_path / name))
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(fresh(images), network(images), rtol=0, atol=0)


def test_files_of_2017_load(network: BnInception, tmp_path: Path) -> None:
    """Norms as (1, channels), no count of batches, and the last layer called ``fc``."""
    state = {
        name: value[None] if "_bn." in name else value
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    state["fc.weight"] = torch.zeros(1000, 1024)
    fresh = BnInception()
    load_imagenet_weights(fresh, write(state, tmp_path / "w.pth"))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(fresh.state_dict()[name], value, rtol=0, atol=0)


def test_files_that_do_not_fit_are_refused_and_change_nothing(network: BnInception, tmp_path: Path) -> None:
    fresh = BnInception()
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    name = "inception_4c_3x3_bn.running_var"
    cases = [
        ({**saved(network), name: torch.ones(161)}, rf"'{name}' has shape \(161,\), BN-Inception needs \(160,\)"),
        ({**saved(network), name: torch.full((160,), torch.nan)}, f"'{name}' holds values that are NaN"),
        ({key: value for key, value in saved(network).items() if key != name}, f"lacks '{name}'.*1 missing"),
        ({**saved(network), "layer1.0.conv1.weight": torch.ones(1)}, "holds 'layer1.0.conv1.weight', which"),
        (
            {"conv1.weight": torch.ones(1)},
            r"lacks 'conv1_7x7_s2.weight' \(414 missing, 1 unknown\).*names of the public",
        ),
    ]
    for state, message in cases:
        with pytest.raises(DataError, match=message):
            load_imagenet_weights(fresh, write(state, tmp_path / "w.pth"))
    for key, value in fresh.state_dict().items():
        assert torch.equal(value, before[key]), key


class Harmful:
    """An object that only an unsafe unpickler would build."""


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_broken_files_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(DataError, match="does not exist"):
        load_imagenet_weights(BnInception(), path)
    write({"a": torch.ones(3)}, path)
    whole = path.read_bytes()
    for content in (b"", b"not weights at all", b"\x80\x02nonsense", whole[:20], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"{name} cannot be read as weights"):
            load_imagenet_weights(BnInception(), path)


def test_other_contents_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save([torch.ones(1)], path)
    with pytest.raises(DataError, match="does not hold a state dict"):
        load_imagenet_weights(BnInception(), path)
    torch.save({"state_dict": {"a": torch.ones(1)}}, path)
    with pytest.raises(DataError, match="does not hold a state dict"):
        load_imagenet_weights(BnInception(), path)
    torch.save(Harmful(), path)
    with pytest.raises(DataError, match="cannot be read as weights"):
        load_imagenet_weights(BnInception(), path)
    other = tmp_path / "w.onnx"
    other.write_bytes(b"")
    with pytest.raises(DataError, match=r"Known: \.pth, \.pt, \.safetensors"):
        load_imagenet_weights(BnInception(), other)


def test_partial_batch_norm(network: BnInception) -> None:
    network.freeze_norms_but_first()
    network.train()
    norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    assert [name for name, norm in norms.items() if norm.training] == ["conv1_7x7_s2_bn"]
    before = {name: norm.running_mean.clone() for name, norm in norms.items()}
    network(torch.randn(2, 3, 32, 32)).sum().backward()
    moved = [name for name, norm in norms.items() if not torch.equal(norm.running_mean, before[name])]
    learning = [name for name, norm in norms.items() if norm.weight.grad is not None]
    assert moved == learning == ["conv1_7x7_s2_bn"]
    assert network.get_parameter("inception_5b_1x1.weight").grad is not None
    network.eval()
    assert not any(norm.training for norm in norms.values())


def test_without_partial_batch_norm_every_norm_learns(network: BnInception) -> None:
    network.train()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 69
    assert all(norm.training and norm.weight.requires_grad for norm in norms)


def test_the_published_preprocessing() -> None:
    assert IMAGENET_MEAN_BGR == (104, 117, 128)
