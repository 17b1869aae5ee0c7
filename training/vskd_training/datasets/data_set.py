"""What a data set declares of itself: its name, views, splits, groups of labels, and how it is opened.

Each data set has a folder whose ``__init__`` holds one ``DATA_SET``; ``registry`` lists them. A declaration imports the
standard library only, so that configs and ``--help`` can name data sets without loading a reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vskd.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from vskd_training.datasets.recording import Source

Limb = Literal["arm", "thigh"]

#: Characters of each thing that is said about a data set.
LONGEST_ABOUT = 1000


@dataclass(frozen=True)
class SourceOptions:
    """What of a config a reader is opened with.

    Attributes
    ----------
    view : one of the data set's
    height, width : of the teacher's frames, pixels
    own : the data set's ``section`` of the config; None where it has none
    """

    view: str
    height: int
    width: int
    own: Any = None


@dataclass(frozen=True)
class BySubjectNumber:
    """A published split: subjects up to this number train, the others test."""

    last_training: int


@dataclass(frozen=True)
class ByColumn:
    """A published split: recordings whose ``column`` holds ``tested`` test, the others train."""

    column: str
    tested: str


@dataclass(frozen=True)
class Skeleton:
    """The joints of the view ``joints``, by their rows, and which limb bore the sensor.

    Attributes
    ----------
    hip, neck : the torso goes from one to the other
    limbs : three joints of each limb, see ``virtual_wrist.limb_parts_g``
    wrist_labels : activities with the sensor at the wrist; in the others it sat on the thigh
    up : unit vector against gravity
    """

    hip: int
    neck: int
    limbs: Mapping[Limb, tuple[int, int, int]]
    wrist_labels: tuple[str, ...]
    up: tuple[float, float, float]

    def limb_of(self, label: str) -> Limb:
        """The limb that bore the sensor in recordings of an activity."""
        return "arm" if label in self.wrist_labels else "thigh"


@dataclass(frozen=True)
class About:
    """Where recordings come from and on which terms: for model cards, bills of materials and Croissant files.

    Attributes
    ----------
    title : for readers
    description : what was recorded, a sentence or two
    licence : its SPDX identifier, e.g. ``CC-BY-4.0``; empty where their owner states none
    url : where they can be had
    citation : how their owner wants to be cited
    version, published : of the data set, e.g. ``1.0.0`` and ``2026-11-27``
    """

    title: str = ""
    description: str = ""
    licence: str = ""
    url: str = ""
    citation: str = ""
    version: str = ""
    published: str = ""

    def __post_init__(self) -> None:
        for item in fields(self):
            text = getattr(self, item.name)
            if len(text) > LONGEST_ABOUT or not text.isprintable():
                raise ConfigError(
                    f"about.{item.name} must be one line of at most {LONGEST_ABOUT} characters, got {text[:100]!r}"
                )
        if self.url and not re.fullmatch(r"https?://[^\s<>\"]+", self.url):
            raise ConfigError(f"about.url is no address: {self.url[:100]!r}", hint="It begins with https://")
        if self.published and not re.fullmatch(r"\d{4}-\d\d-\d\d", self.published):
            raise ConfigError(f"about.published is no date: {self.published[:100]!r}", hint="Write it as 2026-11-27")
        if not re.fullmatch(r"[A-Za-z0-9.+-]*", self.licence):
            raise ConfigError(
                f"about.licence is no SPDX identifier: {self.licence[:100]!r}",
                hint="For example CC-BY-4.0, or LicenseRef-mine for terms of your own",
            )


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes
    ----------
    name : in configs, on the command line, in reports
    views : what the teacher may see; `vskd data check` reads the first by default
    open : makes the source, from its options and the folder of the data set
    needs_root : whether a folder has to be given; otherwise ``open`` gets the one inside the package, or an empty path
    splits : protocols of the data set's own, by their names in the literature
    refused : protocols of the literature that cannot be had here, and why
    label_groups : named groups of labels, e.g. those recorded at the wrist
    skeleton : the joints of the view ``joints``
    section : the key in ``[data]`` that holds settings of the data set's own
    inside : folder of the recordings in an installed package, e.g. ``seglearn/data``
    extra : of vskd, which installs that package
    about : where it comes from, and on which terms
    own_about : reads that from the folder instead, for recordings of one's own
    """

    name: str
    views: tuple[str, ...]
    open: Callable[[SourceOptions, Path], Source]
    needs_root: bool = True
    splits: Mapping[str, BySubjectNumber | ByColumn] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    label_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    skeleton: Skeleton | None = None
    section: str = ""
    inside: str = ""
    extra: str = ""
    about: About = field(default_factory=About)
    own_about: Callable[[Path], About] | None = None

    def check_view(self, view: str, *, height: int, width: int) -> None:
        """Refuse what the reader cannot show.

        Parameters
        ----------
        view : one of ``views``
        height, width : of a frame, pixels

        Raises
        ------
        ConfigError : an unknown view, or frames without a pixel
        """
        if view not in self.views:
            raise ConfigError(f"{self.name} has no view {view!r}", hint=did_you_mean(view, self.views))
        if height < 1 or width < 1:
            raise ConfigError(
                f"a frame must be at least 1 x 1 pixel, got height {height}, width {width}",
                hint="Raise data.frame_height and data.frame_width",
            )
