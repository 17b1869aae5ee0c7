"""What data sets declare: one object each, light to import, and in agreement with their readers."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest

from vskd.closed import from_mapping, to_mapping
from vskd.errors import ConfigError, MissingExtraError
from vskd_training.data import sources
from vskd_training.data.sources import open_source
from vskd_training.datasets import registry, synthetic, utd_mhad
from vskd_training.datasets.berkeley_mhad.reader import BerkeleyMhadSource
from vskd_training.datasets.data_set import ByColumn, BySubjectNumber
from vskd_training.datasets.mmact.reader import LABELS, MmactSource
from vskd_training.datasets.registry import DATA_SETS, NAMES, data_set
from vskd_training.datasets.shoulder_watch.reader import ShoulderWatchSource
from vskd_training.datasets.synthetic.generator import SyntheticSource
from vskd_training.datasets.utd_mhad.reader import UtdMhadSource
from vskd_training.settings import DataConfig

DESCRIPTION = 'name = "{}"\nunit = "g"\ngravity = true\nplacement = "left wrist"\n'
CLIPS = "clip,subject,label,sensor\na,b,c,d.csv\n"
READERS = [SyntheticSource, UtdMhadSource, BerkeleyMhadSource, MmactSource, ShoulderWatchSource]


def test_the_registry_loads_no_reader_and_nothing_slow() -> None:
    script = "import sys, vskd_training.datasets.registry; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    names = set(loaded.stdout.split())
    assert "vskd_training.datasets.utd_mhad" in names
    assert names.isdisjoint({"numpy", "torch", "av", "scipy", "vskd_training.datasets.utd_mhad.reader"})


def test_names_and_views_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)
    for one in DATA_SETS:
        assert one.views
        assert len(set(one.views)) == len(one.views)


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_has_the_name_of_its_declaration(reader: type) -> None:
    assert reader.name in NAMES  # type: ignore[attr-defined]


def test_the_section_of_a_data_set_is_a_key_of_the_config() -> None:
    config = DataConfig(dataset="synthetic", view="rendered")
    assert all(hasattr(config, one.section) for one in DATA_SETS if one.section)


def test_the_extra_of_a_package_exists() -> None:
    extras = metadata("vskd").get_all("Provides-Extra") or []
    assert [one.extra for one in DATA_SETS if one.inside] == ["shoulder-watch"]
    assert all(one.extra in extras for one in DATA_SETS if one.inside)


def test_the_labels_recorded_at_the_wrist() -> None:
    wrist = utd_mhad.DATA_SET.label_groups["wrist"]
    others = ("jog", "walk", "sit_to_stand", "stand_to_sit", "lunge", "squat")
    assert (*wrist, *others) == UtdMhadSource.labels


def test_the_sensor_sat_on_the_arm_but_for_six_actions() -> None:
    skeleton = utd_mhad.DATA_SET.skeleton
    assert skeleton is not None
    limbs = [skeleton.limb_of(label) for label in UtdMhadSource.labels]
    assert limbs == ["arm"] * 21 + ["thigh"] * 6
    assert set(skeleton.limbs) == {"arm", "thigh"}


def test_published_splits() -> None:
    assert data_set("berkeley-mhad").splits == {"cross-subject": BySubjectNumber(7)}
    assert data_set("mmact").splits == {
        "cross-subject": BySubjectNumber(16),
        "cross-session": ByColumn("session", "5"),
        "cross-scene": ByColumn("scene", "2"),
    }
    assert len(LABELS) == 37


def test_an_unknown_name_or_view_or_a_frame_without_a_pixel_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no data set 'utd-mhda'\. Did you mean 'utd-mhad'\?"):
        DataConfig(dataset="utd-mhda", view="none")
    with pytest.raises(ConfigError, match=r"mmact has no view 'rbg'\. Did you mean 'rgb'\? Known: none, rgb"):
        DataConfig(dataset="mmact", view="rbg")
    with pytest.raises(ConfigError, match=r"1 x 1 pixel, got height 0, width 80\. Raise data\.frame_height"):
        DataConfig(dataset="mmact", view="rgb", frame_height=0)


def test_the_root_reaches_the_reader(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"utd-mhad needs the folder that holds it\. Give --root DIR"):
        open_source(DataConfig(dataset="utd-mhad", view="none"), None)
    (tmp_path / "Inertial").mkdir()
    source = open_source(DataConfig(dataset="utd-mhad", view="none"), tmp_path).inner
    assert isinstance(source, UtdMhadSource)
    assert source.root == tmp_path


SECTIONS = {"berkeley": {"shimmer": 1}, "mmact": {"camera": 3}, "synthetic": {"subjects": 3}}


@pytest.mark.parametrize("name", ["utd-mhad", "berkeley-mhad", "mmact", "folder"])
def test_settings_of_the_config_reach_the_reader(tmp_path: Path, name: str) -> None:
    for folder in ("Inertial", "Accelerometer/Shimmer01", "acc_watch_clip"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "dataset.toml").write_text(DESCRIPTION.format("kitchen"))
    (tmp_path / "clips.csv").write_text(CLIPS)
    content = {"dataset": name, "view": "none", "frame_height": 6, "frame_width": 8, **SECTIONS}
    source: Any = open_source(from_mapping(DataConfig, content, where="data"), tmp_path).inner
    assert (source.root, source.view, source.height, source.width) == (tmp_path, "none", 6, 8)
    section = data_set(name).section
    if section:
        assert to_mapping(source.settings).items() >= SECTIONS[section].items()


def test_settings_of_the_config_reach_the_generator() -> None:
    made = DataConfig(dataset="synthetic", view="rendered", synthetic=synthetic.SyntheticSettings(subjects=3))
    assert {info.subject for info in open_source(made, None).infos()} == {"1", "2", "3"}


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sources, "find_spec", lambda name: None)
    config = DataConfig(dataset="shoulder-watch", view="none")
    with pytest.raises(MissingExtraError, match=r"needs seglearn.*pip install 'vskd\[shoulder-watch\]'"):
        open_source(config, None)
    with pytest.raises(Exception, match=r"cannot read .*watch_dataset\.npy"):
        open_source(config, tmp_path)


def test_what_names_recordings_does_not_depend_on_the_split() -> None:
    one = DataConfig(dataset="synthetic", view="rendered", protocol="subject-folds", fold="2", fold_count=3)
    other = DataConfig(dataset="synthetic", view="rendered", test_subjects=("1",), allow_leak=True)
    assert one.reading() == other.reading()
    more = DataConfig(dataset="synthetic", view="rendered", synthetic=synthetic.SyntheticSettings(subjects=3))
    assert more.reading() != one.reading()


def test_a_folder_may_not_take_the_name_of_a_data_set(tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / "dataset.toml").write_text(DESCRIPTION.format(name))
        (tmp_path / "clips.csv").write_text(CLIPS)
        if name == "folder":
            assert open_source(DataConfig("folder", "none"), tmp_path).name == name
        else:
            with pytest.raises(ConfigError, match=f"is called '{name}', which is another data set's name"):
                open_source(DataConfig("folder", "none"), tmp_path)


def test_no_two_data_sets_or_modules_beside_them_import_each_other_in_a_circle() -> None:
    """Also not late: what two of them share belongs into one of them, or above both."""
    package = Path(registry.__file__).parent
    imported: dict[str, set[str]] = {}
    for path in package.rglob("*.py"):
        part = path.relative_to(package).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vskd_training.datasets"):
                names = [f"{node.module}.{alias.name}".split(".")[2] for alias in node.names]
                imported.setdefault(part, set()).update({*names} - {part})
    for start in imported:
        reached, waiting = set[str](), [start]
        while waiting:
            new = imported.get(waiting.pop(), set()) - reached
            reached |= new
            waiting += new
        assert start not in reached
