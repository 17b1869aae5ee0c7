"""The encoders of ``vskd.encoders``, executed in torch: for training, and inside the exported graph.

Same formulas, same constants, same order of channels. Only operators that ONNX, LiteRT and TensorFlow Lite Micro have
are used, so that the graph that ships computes what was trained on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vskd.contract import Contract, GafSpec, RawSpec
from vskd.encoders.gaf import FLAT_G, paa_matrix


def encoder_for(contract: Contract) -> GafLayer | RawLayer:
    """The encoder of a contract, in torch."""
    if contract.raw is not None:
        return RawLayer(contract.raw)
    return GafLayer(contract.image_spec, contract.window.samples)


class RawLayer(nn.Module):
    """Windows to the channels of a raw network.

    Parameters
    ----------
    spec : transforms and scale

    Shape
    -----
    (batch, channels, samples), g -> (batch, transforms * channels, samples)
    """

    def __init__(self, spec: RawSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, windows: Tensor) -> Tensor:
        made = [self._transformed(name, windows) for name in self.spec.transforms]
        return torch.cat(made, dim=1) if len(made) > 1 else made[0]

    def _transformed(self, name: str, windows: Tensor) -> Tensor:
        if name == "g":
            return windows.clamp(-self.spec.clip_g, self.spec.clip_g)
        soft = torch.tanh(windows * (1.0 / self.spec.scale_g))
        return soft if name == "tanh" else soft - soft.mean(dim=-1, keepdim=True)


class GafLayer(nn.Module):
    """Windows to images.

    Parameters
    ----------
    spec : fields, scaling and size
    samples : samples in a window

    Shape
    -----
    (batch, channels, samples), g -> (batch, fields * channels, size, size), without unit, in [-1, 1]
    """

    paa: Tensor

    def __init__(self, spec: GafSpec, samples: int) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("paa", torch.from_numpy(paa_matrix(samples, spec.size)), persistent=False)

    def forward(self, windows: Tensor) -> Tensor:
        cosine, sine = self._rescale(windows @ self.paa)
        right = torch.stack([cosine, -sine], dim=-2)
        images = []
        for name in self.spec.fields:
            left = (cosine, sine) if name == "gasf" else (sine, cosine)
            images.append(torch.stack(left, dim=-1) @ right)
        return torch.cat(images, dim=1) if len(images) > 1 else images[0]

    def _rescale(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """(cosine, sine) of the polar angle, each (batch, channels, size)."""
        if self.spec.scaling == "tanh":
            scaled = values * (1.0 / self.spec.scale_g)
            decay = torch.exp(-torch.abs(scaled))
            return torch.tanh(scaled), (decay + decay) / (1.0 + decay * decay)
        if self.spec.scaling == "minmax":
            low = values.amin(dim=-1, keepdim=True)
            high = values.amax(dim=-1, keepdim=True)
            width = torch.clamp(high - low, min=FLAT_G)
            above, below = (values - low) / width, (high - values) / width
        else:
            limit, width_g = self.spec.scale_g, 2 * self.spec.scale_g
            values = torch.clamp(values, -limit, limit)
            above, below = (values + limit) / width_g, (limit - values) / width_g
        return above - below, 2.0 * torch.sqrt(above * below)
