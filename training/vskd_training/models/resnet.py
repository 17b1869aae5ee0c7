"""The trunk of the paper's student: ResNet18 (He et al., CVPR 2016) on torchvision's ``BasicBlock``.

With a width factor and other depths. At width 1.0 and three image channels it is torchvision's own resnet18, key by
key.
"""

from __future__ import annotations

from torch import nn

from vskd.errors import ConfigError
from vskd_training.models.torchvision_import import torchvision_resnet

#: Blocks in each stage, by the network's depth. 18 and 34 are the paper's, 10 is half of 18.
_BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


def resnet_trunk(image_channels: int, *, width: float, depth: int = 18) -> nn.Module:
    """A residual network of basic blocks up to the pooled vector, of ``trunk.out_features`` values.

    Parameters
    ----------
    image_channels : channels of the image; 3 is torchvision's own stem
    width : factor on every layer's channels; 1.0 is torchvision's resnet18 or resnet34, 0.125 the least
    depth : 10, 18 or 34 layers with weights

    Raises
    ------
    ConfigError : a width below 0.125
    """
    if not width >= 0.125:
        raise ConfigError(f"a ResNet needs a width of at least 0.125 (8 channels in its first stage), got {width}")
    resnet = torchvision_resnet()
    first = round(64 * width)
    blocks = _BLOCKS[depth]
    trunk: nn.Module = resnet.ResNet(resnet.BasicBlock, list(blocks), num_classes=1)
    if first != 64:
        _rebuild_narrow(trunk, first, blocks)
    if first != 64 or image_channels != 3:
        trunk.conv1 = nn.Conv2d(image_channels, first, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(trunk.conv1.weight, mode="fan_out", nonlinearity="relu")
    trunk.fc = nn.Identity()
    trunk.out_features = first * 8  # type: ignore[assignment]
    return trunk


def _rebuild_narrow(trunk: nn.Module, first: int, blocks: tuple[int, ...]) -> None:
    """Replace the stem's norm and the four stages by ones that start with ``first`` channels."""
    resnet = torchvision_resnet()
    trunk.bn1 = nn.BatchNorm2d(first)
    trunk.inplanes = first  # type: ignore[assignment]
    make_layer = trunk._make_layer
    for stage, count in enumerate(blocks):
        layer = make_layer(resnet.BasicBlock, first * 2**stage, count, stride=1 if stage == 0 else 2)  # type: ignore[operator]
        setattr(trunk, f"layer{stage + 1}", layer)
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
