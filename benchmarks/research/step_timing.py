"""A process that trains some steps at a time and reports how long they took: vskd's student, or the public recipe's.

``python -m research.step_timing {"kind": "vskd" or "public", "threads": 1}``; ``research.training_speed`` starts it.

Answers each line ``{"do": "steps", "count": N}`` of standard input by one line of JSON. The recordings are noise, since
no time depends on their values. Both students are ResNet18 of full width with the feature layer of 300 and 27 classes,
in one process, without a teacher.

vskd
    ``fit.train_step`` on ``StudentTask`` as the presets set it: 64 px, batches of 32 windows encoded and augmented on
    the fly, channels last, bfloat16 where the processor has instructions for it
public
    what the public code of VSKD does (``torchvision``'s transforms on image files, 224 px, float32, Adam): a JPEG per
    recording as long as the recording, min-max GASF; batches of 16 of which half are zeros. The files come out of the
    disk's cache
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count as numbers
from pathlib import Path
from typing import Any, Protocol

import click
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vskd.contract import Contract, GafSpec, WindowSpec
from vskd.encoders.gaf import GafEncoder
from vskd.errors import ConfigError
from vskd_training.data.windows import WindowTable
from vskd_training.loop.fit import optimiser_for, train_step
from vskd_training.loop.tasks import StudentBatch, student_task
from vskd_training.models.output import FEATURE_SIZE
from vskd_training.models.resnet import resnet_trunk
from vskd_training.models.student import gaf_resnet
from vskd_training.models.torchvision_import import torchvision_resnet
from vskd_training.settings import Config, DataConfig, LossWeights, TrainingConfig

CLASSES = 27
#: As many as UTD-MHAD's training subjects have.
RECORDINGS = 431
#: Samples of a recording of UTD-MHAD (3.6 s at 50 Hz), and so pixels of the public recipe's image.
RECORDING_SAMPLES = 180
PUBLIC_BATCH = 16
PUBLIC_SIZE_PX = 224
#: Images on disk; every one is read many times, as in training.
IMAGES = 64


class Steps(Protocol):
    """Something that trains.

    Attributes
    ----------
    images : useful ones in a step
    parts_s : time in parts of the steps so far, s
    """

    images: int
    parts_s: dict[str, float]

    def step(self) -> None:
        """Train one step."""
        ...


@dataclass
class Stopwatch:
    """Time spent in parts of something, s."""

    parts_s: dict[str, float] = field(default_factory=dict)

    def add(self, part: str, since_s: float) -> None:
        """Count the time since then."""
        self.parts_s[part] = self.parts_s.get(part, 0.0) + time.perf_counter() - since_s


class OwnSteps:
    """A student alone, as vskd trains it."""

    def __init__(self) -> None:
        self.config = TrainingConfig(bf16=bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()))
        self.images = self.config.batch
        self._watch = Stopwatch()
        self.parts_s = self._watch.parts_s
        contract = Contract(
            labels=tuple(f"activity {index}" for index in range(CLASSES)),
            window=WindowSpec(mode="whole"),
            gaf=GafSpec(),
        )
        config = Config(DataConfig("synthetic", "rendered"), loss=LossWeights(label_smoothing=0.1))
        self._task = student_task(_noise(contract.window.samples), config, CLASSES)
        self._model = gaf_resnet(contract, width=1.0)
        self._model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as in fit
        self._model.train()
        self._time_encoder(self._model.encoder)
        self._optimiser = optimiser_for(self._model, self.config)
        self._batches = self._endless_batches()

    def step(self) -> None:
        start_s = time.perf_counter()
        batch = next(self._batches)
        self._watch.add("augment", start_s)
        train_step(self._model, self._task, batch, self._optimiser, self.config)

    def _endless_batches(self) -> Iterator[StudentBatch]:
        for epoch in numbers():
            batches = self._task.batches(epoch, self.config.batch)
            yield from (batch for batch in batches if len(batch.rows) == self.config.batch)

    def _time_encoder(self, encoder: nn.Module) -> None:
        started: list[float] = []
        encoder.register_forward_pre_hook(lambda *_: started.append(time.perf_counter()))
        encoder.register_forward_hook(lambda *_: self._watch.add("encode", started.pop()))


class PublicSteps:
    """The public recipe, images from ``folder``."""

    images = PUBLIC_BATCH // 2

    def __init__(self, folder: Path) -> None:
        torchvision_resnet()  # lets torchvision be imported beside a CPU build of torch
        self._images = _write_images(folder)
        self._transform = _public_transform()
        self._watch = Stopwatch()
        self.parts_s = self._watch.parts_s
        trunk = resnet_trunk(3, width=1.0)
        self._model = nn.Sequential(trunk, nn.Linear(512, FEATURE_SIZE), nn.ReLU(), nn.Linear(FEATURE_SIZE, CLASSES))
        self._optimiser = torch.optim.Adam(self._model.parameters(), lr=2e-4, weight_decay=1e-5)
        self._rng = np.random.default_rng(0)

    def step(self) -> None:
        start_s = time.perf_counter()
        images = torch.stack([self._read(path) for path in self._rng.choice(self._images, self.images)])  # type: ignore[arg-type]
        self._watch.add("load", start_s)
        labels = torch.from_numpy(self._rng.integers(CLASSES, size=PUBLIC_BATCH))
        loss = F.cross_entropy(self._model(torch.cat([images, torch.zeros_like(images)])), labels)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        loss.item()

    def _read(self, path: Path) -> Tensor:
        from PIL import Image

        with Image.open(path) as image:
            return self._transform(image.convert("RGB"))


def _public_transform() -> Callable[[Any], Tensor]:
    from torchvision import transforms

    side = (PUBLIC_SIZE_PX, PUBLIC_SIZE_PX)
    transform: Callable[[Any], Tensor] = transforms.Compose([transforms.Resize(side), transforms.ToTensor()])
    return transform


def _write_images(folder: Path) -> list[Path]:
    """JPEG images of noise, as large as the recording is long."""
    from PIL import Image

    encoder = GafEncoder(GafSpec(fields=("gasf",), scaling="minmax", size=RECORDING_SAMPLES), RECORDING_SAMPLES)
    paths = []
    for index, image in enumerate(encoder(_noise(RECORDING_SAMPLES).samples[:IMAGES])):
        paths.append(folder / f"{index}.jpg")
        Image.fromarray(((image + 1) * 127.5).round().astype(np.uint8).transpose(1, 2, 0)).save(paths[-1])
    return paths


def _noise(samples: int) -> WindowTable:
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(scale=0.1, size=(RECORDINGS, 3, samples)), axis=2).astype(np.float32)
    rows = np.arange(RECORDINGS)
    names = tuple(str(row) for row in rows)
    return WindowTable(names, walk, rows % CLASSES, rows, np.zeros((RECORDINGS, 2)), names, 0)


def timed(steps: Steps, count: int) -> dict[str, Any]:
    """Train ``count`` steps.

    Returns
    -------
    ``elapsed_s``, ``cpu_s`` (processor time of all threads), ``images`` (useful ones), ``parts_s`` (elapsed)
    """
    steps.parts_s.clear()
    cpu_s, start_s = time.process_time(), time.perf_counter()
    for _ in range(count):
        steps.step()
    return {
        "elapsed_s": time.perf_counter() - start_s,
        "cpu_s": time.process_time() - cpu_s,
        "images": count * steps.images,
        "parts_s": dict(steps.parts_s),
    }


def _print(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


@click.command(
    epilog="""Example: echo '{"do": "steps", "count": 1}' | """
    """python -m research.step_timing '{"kind": "vskd", "threads": 1}'"""
)
@click.argument("job", type=json.loads)
def main(job: dict[str, Any]) -> None:
    """Train as many steps as each line of standard input asks for, and report how long they took."""
    torch.manual_seed(0)
    torch.set_num_threads(job["threads"])
    with tempfile.TemporaryDirectory() as folder:
        if job["kind"] == "vskd":
            torch.use_deterministic_algorithms(True)  # as training does
            own = OwnSteps()
            steps: Steps = own
            about: dict[str, Any] = {"bf16": own.config.bf16, "batch": own.images}
        elif job["kind"] == "public":
            steps, about = PublicSteps(Path(folder)), {"bf16": False, "batch": PUBLIC_BATCH}
        else:
            raise ConfigError(f"there is no kind {job['kind']!r} of training to time", hint="vskd or public")
        _print({"ready": {**about, "torch": torch.__version__, "threads": torch.get_num_threads()}})
        for line in sys.stdin:
            _print(timed(steps, json.loads(line)["count"]))


if __name__ == "__main__":
    main()
