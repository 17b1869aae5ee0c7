"""Every research script runs as a module and its help shows how."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import research
from vskd.contract import Contract
from vskd_training.settings import load_config

SCRIPTS = sorted(
    path.stem for path in Path(research.__path__[0]).glob("*.py") if path.stem not in ("__init__", "document")
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_help_of_a_script_shows_an_example(name):
    words = [sys.executable, "-m", f"research.{name}", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Example: " in done.stdout
    assert f"python -m research.{name} " in f"{' '.join(done.stdout.split())} "


def test_the_settings_of_the_image_fields_are_those_of_todays_config():
    from research.image_fields import PRESET, SET, SUBJECTS

    for subject in SUBJECTS:
        config = load_config(PRESET, changes=(*SET, f'data.fold="{subject}"', "seed=0"))
        assert (config.data.fold, config.data.train_on_validation) == (subject, True)


@pytest.mark.parametrize("arm", ["gadf", "cross-axis", "difference", "two-scales"])
def test_a_student_draws_the_images_of_its_arm(arm, monkeypatch):
    """At the names that the script replaces, so that a student of another structure shows here."""
    from research import image_fields
    from vskd_training.models import encoder, student

    for module, name in ((encoder, "GafLayer"), (student, "resnet_trunk")):
        monkeypatch.setattr(module, name, getattr(module, name))  # set back afterwards
    image_fields.replace_encoder(image_fields.ARMS[arm])
    made = student.gaf_resnet(Contract(labels=("x", "y")), width=0.25).eval()
    seen: list[torch.Size] = []
    made.encoder.register_forward_hook(lambda module, inputs, images: seen.append(images.shape))
    with torch.inference_mode():
        made(torch.randn(2, 3, 128))
    assert seen == [(2, 3 if arm == "gadf" else 6, 64, 64)]
