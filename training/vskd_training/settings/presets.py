"""Which file ``--config`` means: a preset by its name, a TOML file, or a run's folder for its own config.

Presets are the TOML files of ``vskd_training/presets``; they are in the wheel. A preset's name comes before a file or
folder of the same name, which is reached as ``./NAME``.
"""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

from vskd.errors import ConfigError, did_you_mean

FOLDER = Path(__file__).parents[1] / "presets"
#: In a run's folder: the config that it was started with.
RUN_CONFIG = "config.json"


def preset_names() -> tuple[str, ...]:
    """The names of all presets, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def config_file(config: str | Path, *, beside: Path = Path()) -> Path:
    """The file that holds a config.

    Parameters
    ----------
    config : a preset's name, a file, or the folder of a run
    beside : the folder that a relative path starts from

    Raises
    ------
    ConfigError : none of the three
    """
    if str(config) in preset_names():
        return FOLDER / f"{config}.toml"
    path = beside / config
    if path.is_dir():
        if not (path / RUN_CONFIG).is_file():
            raise ConfigError(
                f"the folder {path} holds no run: it has no {RUN_CONFIG}", hint=did_you_mean(path.name, preset_names())
            )
        return path / RUN_CONFIG
    if not path.exists():
        raise ConfigError(
            f"there is no preset, file or run {str(config)!r}", hint=did_you_mean(path.stem, preset_names())
        )
    return path


def about(preset: str) -> str:
    """What a preset's file says of itself above its first key; the first sentence says what it is for."""
    lines = (FOLDER / f"{preset}.toml").read_text(encoding="utf-8").splitlines()
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in takewhile(lambda one: one[:1] == "#", lines))
