"""The config is closed: a typo is an error with the way out."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vskd.closed import from_mapping, to_mapping
from vskd.errors import ConfigError
from vskd_training.datasets.synthetic import SyntheticSettings
from vskd_training.settings import Config, DataConfig, StudentConfig, load_config
from vskd_training.settings.described import sections, toml_text
from vskd_training.settings.presets import preset_names
from vskd_training.settings.students import STUDENTS


@pytest.mark.parametrize("preset", preset_names())
def test_presets_load_and_survive_the_run_card(preset: str) -> None:
    config = load_config(preset)
    assert from_mapping(Config, to_mapping(config), where="card") == config


def test_a_preset_is_found_by_its_name_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert load_config("folder") == load_config(Path("folder"))
    assert load_config("folder").data.dataset == "folder"
    with pytest.raises(ConfigError, match=r"the folder folder holds no run: it has no config.json"):
        load_config("./folder")
    with pytest.raises(
        ConfigError, match=r"there is no preset, file or run 'utd-mhad-joint'\. Did you mean 'utd-mhad-j"
    ):
        load_config("utd-mhad-joint")


def test_a_runs_folder_gives_its_config(tmp_path: Path, tiny_config_file: Path) -> None:
    config = load_config(tiny_config_file, changes=("student=watch", "seed=5"))
    (tmp_path / "config.json").write_text(json.dumps(to_mapping(config)))
    assert load_config(tmp_path) == config
    assert load_config(tmp_path, changes=("seed=6",)) == dataclasses.replace(config, seed=6)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json is not JSON"):
        load_config(tmp_path)


def test_overrides_take_toml_values_and_bare_words(tiny_config_file: Path) -> None:
    config = load_config(
        tiny_config_file, changes=("gaf.size=32", "gaf.fields=['gasf','gadf']", "gaf.scaling=minmax", "seed=9")
    )
    assert (config.gaf.size, config.gaf.fields, config.gaf.scaling, config.seed) == (32, ("gasf", "gadf"), "minmax", 9)


def test_subjects_and_folds_may_be_bare_numbers_on_the_command_line(tiny_config_file: Path) -> None:
    config = load_config(tiny_config_file, changes=("data.fold=1", "data.test_subjects=[2, 'ann']"))
    assert (config.data.fold, config.data.test_subjects) == ("1", ("2", "ann"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("gaf.sise=32", r"^gaf.sise=32: unknown key 'sise' in gaf. Did you mean 'size'\?"),
        ("gafs.size=32", r"^gafs.size=32: unknown key 'gafs'. Did you mean 'gaf'\?"),
        ("size=32", r"^size=32: unknown key 'size'. Did you mean gaf.size\?$"),
        (
            "epochs=3",
            r"Did you mean student_training.epochs or quantization.epochs or teacher_training.epochs\?$",
        ),
        ("data.dataset=utd-mahd", r"there is no data set 'utd-mahd'. Did you mean 'utd-mhad'\?"),
        ("gaf.scaling=tan", r"cannot be 'tan'. Did you mean 'tanh'\?"),
        ("gaf.size=big", r"^gaf.size=big: gaf.size must be of type int, got 'big'. For example --set gaf.size=16$"),
        ("seed=true", r"must be of type int, got True. For example --set seed=\d+$"),
        ("gaf.fields=gadf", r"must be a list, got 'gadf'. For example --set 'gaf.fields=\["),
        ("data.subjects=ann", r"must be a list, got 'ann'. For example --set 'data.subjects=\[\"ann\"\]'$"),
        ("gaf=3", "gaf must be a table of settings, got 3$"),
        ("gaf.size", "--set takes section.key=value"),
        ("seed.x=1", "'seed' is no section"),
        ("window.hop_samples=65", "must lie between 1 and the window's 64 samples, got 65"),
        ("student.width=0", r"student.width must lie in \[0.125, 2\]"),
        ("student.depth=50", "student.depth cannot be 50"),
        ("student_training.epochs=0", "epochs must be at least 1"),
        (
            "student_training.bf16=true",
            r"gaf.size is 16: below 17 pixels .* Set student_training.bf16 = false",
        ),
    ],
)
def test_mistakes_are_named_with_the_way_out(tiny_config_file: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(tiny_config_file, changes=(change,))


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ("labels.left_out=1", "It was removed: no study used it"),
        ("labels.people=['1']", "It is called subjects now"),
        ("data.people=['1']", "It is called subjects now"),
        ("teaching.mean=geometric", "The section is called distillation now"),
        ("distillation.mean=geometric", "It is called aggregate now"),
        ("distillation.cross_fitted=true", "It was removed: no study used it"),
        ("distillation.consistent=true", "It was removed: no study used it"),
        ("augment.rate=0.1", "It is called clock_skew now"),
        ("augment.dropped=0.1", "It is called sample_dropout now"),
        ("augment.dropped_run=2", "It is called sample_dropout_run now"),
        ("augment.mirror=0.5", "It is called handedness_flip now"),
        ("augment.mirror_axis=y", "It is called handedness_flip_axis now"),
        ("loss.hint=1", "It was removed: no study used it"),
        ("loss.attention=1", "It was removed: no study used it"),
        ("loss.contrastive=1", "It was removed: no study used it"),
        ("loss.contrastive_temperature=0.1", "It was removed: no study used it"),
        ("virtual.both_sides=true", "It was removed: no study used it"),
        ("loss.decoupled_other=4", "It was removed: it is 8, as in the paper"),
        ("data.berkeley.kinect=2", "It was removed: camera 1 of cluster 1 and Kinect 1 are read"),
    ],
)
def test_a_retired_key_is_refused_with_the_reason_or_the_new_key(
    tiny_config_file: Path, change: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^{re.escape(change)}: unknown key '\w+'( in |$|\.)") as caught:
        load_config(tiny_config_file, changes=(change,))
    assert caught.value.hint == hint


def test_a_mistake_is_blamed_on_the_change_or_on_the_file_that_holds_it(tiny_config_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^gaf.sise=8: unknown key 'sise' in gaf"):
        load_config(tiny_config_file, changes=("seed=1", "gaf.sise=8", "threads=1"))
    old = tmp_path / "old.toml"
    old.write_text(tiny_config_file.read_text().replace("[gaf]", "[gaf]\nsise = 1"))
    with pytest.raises(ConfigError, match=r"^unknown key 'sise' in old.toml.gaf"):
        load_config(old, changes=("seed=1", "gafs.size=8"))
    with pytest.raises(ConfigError, match=r"^virtual.sensor_count and \[labels\] exclude each other"):
        load_config(tiny_config_file, changes=("virtual.per_real=1", "virtual.sensor_count=1", "labels.count=2"))


def test_removed_keys_with_the_value_that_they_always_had_are_read(tiny_config_file: Path) -> None:
    """Every run card before their removal holds them."""
    card = to_mapping(load_config(tiny_config_file))
    card["virtual"] |= {"torso_m": 0.4, "strap_rad": 0.35, "length": 0.1, "bias_g": 0.03, "noise_g": 0.02}
    card["loss"] |= {"decoupled_other": 8.0}
    card["data"]["berkeley"] |= {"cluster": 1, "camera": 1, "kinect": 1}
    assert from_mapping(Config, card, where="run.json") == load_config(tiny_config_file)


def test_settings_load_neither_torch_nor_video_nor_scipy() -> None:
    heavy = ("torch", "torchvision", "av", "scipy", "sklearn", "matplotlib")
    script = f"import sys, vskd_training.settings; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_a_config_without_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.toml"
    path.write_text("seed = 1\n")
    with pytest.raises(ConfigError, match=r"empty.toml lacks the key 'data'"):
        load_config(path)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("seed = = 1\n")
    with pytest.raises(ConfigError, match=r"broken.toml is not TOML"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"there is no preset, file or run '.*missing\.toml'"):
        load_config(tmp_path / "missing.toml")


def test_the_reading_keeps_the_keys_that_name_recordings_and_no_others() -> None:
    own: dict[str, Any] = {
        "view": "rendered",
        "frame_height": 30,
        "frame_width": 40,
        "synthetic": SyntheticSettings(seed=5),
    }
    split = DataConfig(dataset="synthetic", protocol="leave-one-subject-out", fold="2", unknown_labels=("jog",), **own)
    assert split.reading() == DataConfig(dataset="synthetic", **own)


def test_a_config_in_another_encoding_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("seed = 1\n", encoding="utf-16")
    with pytest.raises(ConfigError, match=r"c\.toml is not UTF-8, at byte 0\. Save it as UTF-8"):
        load_config(path)


def test_a_students_name_stands_for_its_keys(tiny_config_file: Path, tmp_path: Path) -> None:
    watch = load_config(tiny_config_file, changes=("student=watch",))

    assert watch.student == StudentConfig(**STUDENTS["watch"]["student"])
    assert watch.raw.transforms == tuple(STUDENTS["watch"]["raw"]["transforms"])
    assert watch.contract(("a", "b"), "x").gaf is None
    smaller = load_config(tiny_config_file, changes=("student=watch", "student.channels=16", "raw.transforms=['g']"))
    assert smaller.student == dataclasses.replace(watch.student, channels=16)
    assert smaller.raw.transforms == ("g",)
    assert load_config(tiny_config_file, changes=("student.channels=16", "student=watch")) == watch

    named = tmp_path / "named.toml"
    named.write_text('student = "paper"\n[data]\ndataset = "synthetic"\nview = "rendered"\n[window]\nsamples = 224\n')
    paper = load_config(named)
    assert (paper.student.family, paper.gaf.fields, paper.gaf.scaling, paper.gaf.size) == (
        "gaf-resnet", ("gasf",), "minmax", 224,
    )  # fmt: skip


def test_a_student_that_nobody_named_is_refused(tiny_config_file: Path) -> None:
    with pytest.raises(ConfigError, match="student=watsch: there is no student 'watsch'") as caught:
        load_config(tiny_config_file, changes=("student=watsch",))
    assert "watch" in str(caught.value.hint)


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("every", [True, False])
def test_a_config_that_is_shown_is_read_back(preset: str, every: bool, tmp_path: Path) -> None:
    config = load_config(preset, changes=("student=watch", "data.subjects=['1', 'é\"\\\\x']", "seed=7"))
    (tmp_path / "shown.toml").write_text(toml_text(config, every=every, comment=["a comment", ""]), encoding="utf-8")
    assert load_config(tmp_path / "shown.toml") == config


def test_every_key_of_the_config_says_what_it_is() -> None:
    keys = [key for _, what, keys in sections() for key in keys if what]
    assert {key.name for key in keys if not key.section} == {"seed", "threads"}
    assert len(keys) == len(re.findall("^[a-z_0-9]+ = ", toml_text(load_config("demo"), every=True), re.MULTILINE))
    assert not [f"{key.section}.{key.name}" for key in keys if len(key.meaning) < 10]
    (family,) = [key for key in keys if key.name == "family"]
    assert (family.section, family.default) == ("student", '"gaf-resnet"')
    assert family.kind == '"gaf-resnet" or "raw-resnet" or "raw-separable"'
