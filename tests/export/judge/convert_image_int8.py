"""A script, run by a test in a process of its own: the image variant of an untrained student as int8 ``.tflite``.

``python convert_image_int8.py WIDTH FILE``. Nothing of an arena depends on what the weights are.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import litert_torch
import torch
from ai_edge_quantizer import quantizer, recipe

from vskd.contract import Contract
from vskd_export.convert.graph import frozen_copy
from vskd_export.convert.tflite_file import finish_signatures, shorten_names
from vskd_export.convert.tflite_variants import ImageToLogits
from vskd_training.models.student import gaf_resnet


def main(width: float, out: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    contract = Contract(labels=tuple(f"activity {index}" for index in range(27)))
    student = frozen_copy(gaf_resnet(contract, width=width))
    with torch.no_grad():
        images = student.encoder(torch.randn(4, *contract.window_shape))
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "image.tflite"
        litert_torch.signature("image", ImageToLogits(student), sample_kwargs={"image": images[:1]}).convert().export(
            str(path)
        )
        path.write_bytes(shorten_names(path.read_bytes()))
        quantize = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
        ranges = quantize.calibrate({"image": [{"image": image[None]} for image in images.numpy()]})
        content = bytes(quantize.quantize(ranges).quantized_model)
    out.write_bytes(finish_signatures(content, contract, {"image": "logits"}))


if __name__ == "__main__":
    main(float(sys.argv[1]), Path(sys.argv[2]))
