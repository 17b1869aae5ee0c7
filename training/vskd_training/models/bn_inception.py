"""BN-Inception (Ioffe & Szegedy, ICML 2015), the teacher's backbone, as a table.

The parameter names are those of the public ImageNet weights (converted from Caffe), so that a user's file loads key by
key. Convolutions have a bias, strided pools round their output size up, and unit 5b pools by maximum. The network
ends in the mean over the image: 1024 values.

This module knows nothing of video, of grey frames or of who feeds it. It downloads nothing: the weights file is the
user's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from vskd.errors import DataError

#: What the ImageNet weights were trained on: blue, green, red from 0 to 255, less these means.
IMAGENET_MEAN_BGR = (104.0, 117.0, 128.0)

#: The strided units halve odd sides to two different sizes, so every side has to be a multiple of this, pixels.
SIDE_MULTIPLE_PX = 32


class _Unit(NamedTuple):
    """One inception unit: channels of each branch, in the order in which the branches are stacked.

    ``three`` and ``double`` are (channels of the 1x1 reduction, channels out). A unit of stride 2 has neither a 1x1
    branch nor a projection after its pool: both are 0.
    """

    name: str
    one: int
    three: tuple[int, int]
    double: tuple[int, int]
    projection: int
    pool: Literal["average", "max"] = "average"
    stride: int = 1

    @property
    def is_strided(self) -> bool:
        return self.stride == 2

    def channels_out(self, channels_in: int) -> int:
        return self.one + self.three[1] + self.double[1] + (channels_in if self.is_strided else self.projection)


_UNITS = (
    _Unit("inception_3a", 64, (64, 64), (64, 96), 32),
    _Unit("inception_3b", 64, (64, 96), (64, 96), 64),
    _Unit("inception_3c", 0, (128, 160), (64, 96), 0, pool="max", stride=2),
    _Unit("inception_4a", 224, (64, 96), (96, 128), 128),
    _Unit("inception_4b", 192, (96, 128), (96, 128), 128),
    _Unit("inception_4c", 160, (128, 160), (128, 160), 128),
    _Unit("inception_4d", 96, (128, 192), (160, 192), 128),
    _Unit("inception_4e", 0, (128, 192), (192, 256), 0, pool="max", stride=2),
    _Unit("inception_5a", 352, (192, 320), (160, 224), 128),
    _Unit("inception_5b", 352, (192, 320), (192, 224), 128, pool="max"),
)


class BnInception(nn.Module):
    """BN-Inception up to the pooled vector.

    Attributes
    ----------
    out_features : 1024

    Shape
    -----
    (batch, 3, height, width), float, sides a multiple of 32 px -> (batch, 1024)
    """

    out_features = 1024

    def __init__(self) -> None:
        super().__init__()
        self._only_first_norm_learns = False
        self._add("conv1_7x7_s2", 3, 64, kernel=7, stride=2)
        self._add("conv2_3x3_reduce", 64, 64)
        self._add("conv2_3x3", 64, 192, kernel=3)
        channels = 192
        for unit in _UNITS:
            self._add_unit(unit, channels)
            channels = unit.channels_out(channels)

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] % SIDE_MULTIPLE_PX or images.shape[-2] % SIDE_MULTIPLE_PX:
            raise DataError(
                f"BN-Inception takes images whose sides are multiples of {SIDE_MULTIPLE_PX} px, "
                f"got {images.shape[-2]} x {images.shape[-1]}",
                hint="Resize them first",
            )
        images = _pool_strided(self._convolve("conv1_7x7_s2", images))
        images = self._convolve("conv2_3x3", self._convolve("conv2_3x3_reduce", images))
        images = _pool_strided(images)
        for unit in _UNITS:
            images = self._inception(unit, images)
        return images.mean(dim=(2, 3))

    def freeze_norms_but_first(self) -> None:
        """Partial batch norm (Wang et al., TSN, ECCV 2016): only the first norm goes on learning.

        A clip gives few and similar frames to a batch; statistics from them would spoil what ImageNet taught. The
        other norms keep their running statistics in training mode too, and their scale and shift get no gradient.
        """
        self._only_first_norm_learns = True
        for norm in self._norms()[1:]:
            norm.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> BnInception:
        """As ``nn.Module.train``; frozen norms stay in evaluation mode."""
        super().train(mode)
        if self._only_first_norm_learns:
            for norm in self._norms()[1:]:
                norm.eval()
        return self

    def _norms(self) -> list[_BatchNorm]:
        return [module for module in self.modules() if isinstance(module, _BatchNorm)]

    def _add(self, name: str, channels_in: int, channels_out: int, *, kernel: int = 1, stride: int = 1) -> None:
        convolution = nn.Conv2d(channels_in, channels_out, kernel, stride=stride, padding=kernel // 2)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        self.add_module(name, convolution)
        # The public port sets momentum 0.9, Caffe's sense of the word; torch's 0.1 is the same averaging.
        self.add_module(f"{name}_bn", nn.BatchNorm2d(channels_out))

    def _add_unit(self, unit: _Unit, channels: int) -> None:
        name, stride = unit.name, unit.stride
        if not unit.is_strided:
            self._add(f"{name}_1x1", channels, unit.one)
        self._add(f"{name}_3x3_reduce", channels, unit.three[0])
        self._add(f"{name}_3x3", *unit.three, kernel=3, stride=stride)
        self._add(f"{name}_double_3x3_reduce", channels, unit.double[0])
        self._add(f"{name}_double_3x3_1", *unit.double, kernel=3)
        self._add(f"{name}_double_3x3_2", unit.double[1], unit.double[1], kernel=3, stride=stride)
        if not unit.is_strided:
            self._add(f"{name}_pool_proj", channels, unit.projection)

    def _convolve(self, name: str, images: Tensor) -> Tensor:
        convolved = self.get_submodule(name)(images)
        return F.relu(self.get_submodule(f"{name}_bn")(convolved), inplace=True)

    def _inception(self, unit: _Unit, images: Tensor) -> Tensor:
        name = unit.name
        three = self._convolve(f"{name}_3x3", self._convolve(f"{name}_3x3_reduce", images))
        double = self._convolve(f"{name}_double_3x3_reduce", images)
        double = self._convolve(f"{name}_double_3x3_2", self._convolve(f"{name}_double_3x3_1", double))
        if unit.is_strided:
            return torch.cat([three, double, _pool_strided(images)], dim=1)
        one = self._convolve(f"{name}_1x1", images)
        pool = F.max_pool2d if unit.pool == "max" else F.avg_pool2d
        projection = self._convolve(f"{name}_pool_proj", pool(images, 3, stride=1, padding=1))
        return torch.cat([one, three, double, projection], dim=1)


def _pool_strided(images: Tensor) -> Tensor:
    return F.max_pool2d(images, 3, stride=2, ceil_mode=True)


def load_imagenet_weights(model: BnInception, path: Path) -> None:
    """Load the public ImageNet weights from a user's file.

    The file's last layer (``last_linear.*`` or ``fc.*``) is left out. Batch norms saved as (1, channels), as the files
    of 2017 hold them, are taken as (channels,).

    Parameters
    ----------
    model : changed in place; left as it was when the file is refused
    path : ``.pth`` or ``.pt`` (a state dict; only tensors are unpickled) or ``.safetensors``

    Raises
    ------
    DataError : the file is missing, broken or of another kind, or an entry is missing, unknown, of a wrong shape or
        not finite; the message names it
    """
    entries = {
        key: value for key, value in _read_tensors(path).items() if key.split(".")[0] not in ("last_linear", "fc")
    }
    expected = model.state_dict()
    # Files from before torch 0.4.1 do not count batches, and nothing here uses the count.
    required = [key for key in expected if not key.endswith(".num_batches_tracked")]
    missing = [key for key in required if key not in entries]
    unknown = [key for key in entries if key not in expected]
    if missing or unknown:
        what = f"lacks {missing[0]!r}" if missing else f"holds {unknown[0]!r}, which BN-Inception has not"
        raise DataError(
            f"{path} {what} ({len(missing)} missing, {len(unknown)} unknown)",
            hint="Give a state dict of BN-Inception with the names of the public Caffe port",
        )
    fitted = {key: _fitted(key, entries[key], expected[key], path) for key in required}
    model.load_state_dict({**expected, **fitted})


def _fitted(key: str, value: Tensor, expected: Tensor, path: Path) -> Tensor:
    if expected.ndim == 1 and value.shape == (1, *expected.shape):
        value = value[0]
    if value.shape != expected.shape:
        raise DataError(f"{path}: {key!r} has shape {tuple(value.shape)}, BN-Inception needs {tuple(expected.shape)}")
    if not value.isfinite().all():
        raise DataError(f"{path}: {key!r} holds values that are NaN or infinite")
    return value


def _read_tensors(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise DataError(f"the weights file {path} does not exist")
    if path.suffix not in (".pth", ".pt", ".safetensors"):
        raise DataError(f"{path} is not a weights file that can be read", hint="Known: .pth, .pt, .safetensors")
    content: object
    try:
        if path.suffix == ".safetensors":
            content = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file makes torch's restricted unpickler raise some ten kinds of exception, IndexError among them.
    except Exception as error:
        raise DataError(f"{path} cannot be read as weights: {error}") from error
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise DataError(f"{path} does not hold a state dict, a mapping from names to tensors")
    return content
