"""Images that did not become settings: what they would have brought, on UTD-MHAD's training subjects only.

Each of 1, 3, 5 and 7 is tested once by students trained on the other three, as in ``studies/utd-mhad-settings.toml``;
no other subject's recordings are read. The encoder inside the student is replaced, everything else is the preset's.

    python -m research.image_fields --root DIR --out OUT --jobs 2

``cross-axis``    GADF, and beside it the same between one axis and the next: sin(phi_x,i - phi_y,j), and so on
``difference``    GADF, and beside it that of the differences between consecutive samples (0.5 g maps to tanh(1))
``two-scales``    GADF at 1 g and at 4 g in place of 2 g
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import torch
from joblib import Parallel, delayed
from torch import Tensor, nn

from research.document import Script
from vskd_training.data.experiment import Experiment
from vskd_training.loop import train
from vskd_training.models import encoder as encoder_module
from vskd_training.models import student as student_module
from vskd_training.models.encoder import GafLayer
from vskd_training.models.resnet import resnet_trunk
from vskd_training.settings import load_config

PRESET = "utd-mhad-joints"
SET = (
    "threads=1",
    "data.subjects=['1', '3', '5', '7']",
    "data.protocol='leave-one-subject-out'",
    "data.view='none'",
    "data.train_on_validation=true",
    "student.width=0.25",
    "student_training.steps=600",
)
SUBJECTS = ("1", "3", "5", "7")

#: Reduced windows (batch, axes, size), g, to (cosine, sine) pairs of rows and columns, one for each image per axis.
Fields = Callable[[Tensor], list[tuple[Tensor, Tensor, Tensor, Tensor]]]


def polar(values: Tensor, scale_g: float) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the polar angle under the scaling tanh, as in ``vskd.encoders.gaf``."""
    scaled = values / scale_g
    decay = torch.exp(-scaled.abs())
    return torch.tanh(scaled), 2 * decay / (1 + decay * decay)


def gadf(values: Tensor) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    cosine, sine = polar(values, 2.0)
    return [(cosine, sine, cosine, sine)]


def cross_axis(values: Tensor) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    cosine, sine = polar(values, 2.0)
    return [*gadf(values), (cosine, sine, cosine.roll(-1, 1), sine.roll(-1, 1))]


def difference(values: Tensor) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    steps = torch.diff(values, dim=2, append=values[:, :, -1:])
    cosine, sine = polar(steps, 0.5)
    return [*gadf(values), (cosine, sine, cosine, sine)]


def two_scales(values: Tensor) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    return [pair + pair for pair in (polar(values, 1.0), polar(values, 4.0))]


ARMS: dict[str, Fields] = {
    "gadf": gadf,
    "cross-axis": cross_axis,
    "difference": difference,
    "two-scales": two_scales,
}


def replace_encoder(fields: Fields) -> None:
    """Let the next student of this process draw other images."""

    class Drawn(GafLayer):
        def forward(self, windows: Tensor) -> Tensor:
            images = [
                torch.stack([sine, cosine], dim=-1) @ torch.stack([of_column, -sine_of_column], dim=-2)
                for cosine, sine, of_column, sine_of_column in fields(windows @ self.paa)
            ]
            return torch.cat(images, dim=1)

    channels = 3 * len(fields(torch.zeros(1, 3, 8)))

    def of_channels(_channels: int, *, width: float, depth: int = 18) -> nn.Module:
        return resnet_trunk(channels, width=width, depth=depth)

    encoder_module.GafLayer = Drawn  # type: ignore[misc]
    student_module.resnet_trunk = of_channels  # type: ignore[assignment, attr-defined]


def accuracy(arm: str, subject: str, seed: int, root: Path, cache: Path, out: Path) -> tuple[str, str, int, float]:
    """Train one student, and test it on the held-out subject."""
    replace_encoder(ARMS[arm])
    torch.set_num_threads(1)
    config = load_config(PRESET, changes=(*SET, f'data.fold="{subject}"', f"seed={seed}"))
    experiment = Experiment.open(config, root=root, cache=cache, progress=None)
    run = train.train_student(
        experiment,
        out / arm / f"{subject}-{seed}",
        teachers=[],
        overwrite=True,
        resume=False,
        progress=lambda done, total, parts: None,
    )
    return arm, subject, seed, run.card["metrics"]["test"]["recording"]["all"]["accuracy"]


@click.command(
    cls=Script, epilog="Example: python -m research.image_fields --root UTD-MHAD --out build/image-fields --jobs 2"
)
@click.option("--root", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of UTD-MHAD.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the runs and image-fields.json.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Students at a time.")
@click.option("--seeds", default="0,1", show_default=True, help="Comma-separated.")
def main(root: Path, out: Path, jobs: int, seeds: str) -> None:
    """Train every arm for every subject and seed; prints and writes the means."""
    cells = [(arm, subject, int(seed)) for arm in ARMS for seed in seeds.split(",") for subject in SUBJECTS]
    found = Parallel(n_jobs=jobs)(
        delayed(accuracy)(*cell, root.resolve(), out / "cache", out / "runs") for cell in cells
    )
    rows = [{"arm": arm, "subject": subject, "seed": seed, "accuracy": value} for arm, subject, seed, value in found]
    means = {arm: sum(row["accuracy"] for row in rows if row["arm"] == arm) * len(ARMS) / len(rows) for arm in ARMS}
    (out / "image-fields.json").write_text(json.dumps({"mean": means, "students": rows}, indent=1) + "\n")
    for arm, mean in means.items():
        click.echo(f"{arm:12s} {mean:.3f}")


if __name__ == "__main__":
    main()
