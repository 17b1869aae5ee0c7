"""`vskd presets` and `vskd config show`: what they print is a config."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from training.command_line import Command
from vskd_training.settings import load_config
from vskd_training.settings.presets import preset_names


def test_the_presets_are_listed_with_what_they_are_for(vskd: Command) -> None:
    done = vskd("presets")
    assert done.code == 0, done.err
    assert [line.split()[0] for line in done.out.splitlines() if line[0] != " "] == list(preset_names())
    assert "folder            Your own recordings, unseen subjects" in done.out
    assert max(map(len, done.out.splitlines())) < 80


def test_a_preset_is_shown_whole_and_can_be_given_back(vskd: Command, tmp_path: Path) -> None:
    done = vskd("config", "show", "folder", "--set", "gaf.size=32")
    assert done.code == 0, done.err
    assert "# Your own recordings, unseen subjects" in done.out
    assert "# side of the image, pixels\nsize = 32\n" in done.out
    (tmp_path / "mine.toml").write_text(done.out)
    config = load_config("folder")
    assert load_config(tmp_path / "mine.toml") == dataclasses.replace(
        config, gaf=dataclasses.replace(config.gaf, size=32)
    )


def test_the_short_form_holds_what_was_changed(vskd: Command, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('seed = 3\n[data]\ndataset = "synthetic"\nview = "rendered"\nfold = ""\n')
    done = vskd("config", "show", tmp_path / "own.toml", "--short")
    assert done.out == 'seed = 3\n\n[data]\ndataset = "synthetic"\nview = "rendered"\n'
    wrong = vskd("config", "show", "fodler")
    assert wrong.code == 1
    assert "there is no preset, file or run 'fodler' Did you mean 'folder'?" in " ".join(wrong.err.split())
