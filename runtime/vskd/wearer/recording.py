"""A recording that becomes an example: its windows, and the recording itself, kept beside the profile on wish.

Kept recordings lie in ``PROFILE.recordings/SHA256.npz``, as ``vskd run`` reads them too: ``time_s`` and ``xyz`` in g
and the contract's axes. A model that comes later can enrol them again.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vskd.contract import Contract, Unit
from vskd.errors import ProfileError
from vskd.stream import Stream, TimeUnit, Window, as_samples, per_second, to_g, whole_window
from vskd.stream.window import movement
from vskd.untrusted.arrays import read_npz
from vskd.writing import disk_errors, write_file

if TYPE_CHECKING:  # slow to import
    from numpy.typing import ArrayLike, NDArray

    Float64 = NDArray[np.float64]

#: An example is one performance of an activity; a longer recording is a mistake.
LONGEST_S = 600.0

#: The axes of a wrist on a table vary by less, all together: the noise of a sensor, g.
STILL_G = 0.005

#: Bytes of a kept recording: ten minutes at 6 kHz.
_LARGEST_BYTES = 2**27


@dataclass(frozen=True)
class Samples:
    """Samples as a sensor gave them.

    Attributes
    ----------
    time : (samples,), in ``time_unit``
    xyz : (samples, 3), in ``unit`` and ``axes``
    unit, axes, time_unit : see ``vskd.stream.Stream``
    """

    time: ArrayLike
    xyz: ArrayLike
    unit: Unit = "g"
    axes: str = "x,y,z"
    time_unit: TimeUnit = "s"


def example_windows(contract: Contract, samples: Samples) -> list[Window]:
    """The windows of a recording that an example is made of: those that a device would ask the network about.

    Raises
    ------
    ProfileError : there is none, or the recording is no example: too long, still, or its signal cannot be known
    StreamError : not samples, or not in the unit that was named
    """
    times, _ = as_samples(samples.time, samples.xyz)
    lasts_s = float(times[-1] - times[0]) / per_second(samples.time_unit) if len(times) else 0.0
    if lasts_s > LONGEST_S:
        raise ProfileError(
            f"the recording lasts {lasts_s:g} s, and an example at most {LONGEST_S:g} s",
            hint="Cut one performance of the activity out of it",
        )
    windows = _windows(contract, samples, lasts_s)
    obstacles = [window.obstacle for window in windows]
    known = [window for window, obstacle in zip(windows, obstacles, strict=True) if obstacle is None]
    if not known:
        reason = next((obstacle.text for obstacle in obstacles if obstacle is not None), "")
        raise ProfileError(f"the recording is no example: {reason}", hint="Record it again")
    moving = [window for window in known if not _is_still(window, contract)]
    if not moving:
        raise ProfileError(
            "the recording is still: the wrist does not move in it, and a device knows that without an example",
            hint="Record the activity while it is performed",
        )
    return moving


def _windows(contract: Contract, samples: Samples, lasts_s: float) -> list[Window]:
    how: dict[str, Any] = {"unit": samples.unit, "axes": samples.axes, "time_unit": samples.time_unit}
    if contract.window.mode == "whole":
        return [whole_window(contract, samples.time, samples.xyz, **how)]
    stream = Stream(contract, **how)
    items = [*stream.advance(samples.time, samples.xyz), *stream.finish()]
    windows = [item for item in items if isinstance(item, Window)]
    if not windows:
        window = contract.window
        raise ProfileError(
            f"the recording lasts {lasts_s:g} s and holds no window: one needs {window.samples} samples at "
            f"{window.rate_hz:g} Hz ({window.duration_s:g} s) without a gap",
            hint="Record the activity for longer",
        )
    return windows


def _is_still(window: Window, contract: Contract) -> bool:
    """Whether the motion gate keeps the window from the network; without a gate, whether no axis moves."""
    spread_g = float(np.sqrt(window.samples.astype(np.float64).var(axis=1).sum()))
    return spread_g < STILL_G or movement(window) < contract.decision.still_below_g


def keep(profile: Path, samples: Samples) -> str:
    """Keep a recording beside a profile; returns its SHA-256.

    Raises
    ------
    ProfileError : it cannot be written
    """
    times, xyz = as_samples(samples.time, samples.xyz)
    buffer = io.BytesIO()
    seconds = (times - times[:1]) / per_second(samples.time_unit)
    np.savez_compressed(buffer, time_s=seconds, xyz=to_g(xyz, unit=samples.unit, axes=samples.axes))
    content = buffer.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    place = _place(profile, sha256)
    with disk_errors(place, ProfileError, hint="Make room, or leave out --keep-recordings"):
        place.parent.mkdir(exist_ok=True)
        write_file(place, content)
    return sha256


def kept(profile: Path, sha256: str) -> Samples:
    """A recording that was kept beside a profile.

    Raises
    ------
    ProfileError : it is not there, or was changed
    """
    place = _place(profile, sha256)
    try:
        with place.open("rb") as stream:
            content = stream.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ProfileError(
            f"cannot read the kept recording {place}: {error.strerror}", hint="Copy it beside the profile"
        ) from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ProfileError(f"the kept recording {place} was changed", hint="Copy it again, or remove its example")
    try:
        arrays = read_npz(io.BytesIO(content), largest_bytes=_LARGEST_BYTES)
        return Samples(arrays["time_s"], arrays["xyz"])
    except (ValueError, KeyError) as error:
        raise ProfileError(f"{place} holds no recording: {error}", hint="Remove its example") from error


def forget(profile: Path, sha256: str) -> None:
    """Remove a kept recording; one that is gone already is none."""
    with disk_errors(profile, ProfileError, hint="Remove it by hand"):
        _place(profile, sha256).unlink(missing_ok=True)


def _place(profile: Path, sha256: str) -> Path:
    return profile.with_name(f"{profile.name}.recordings") / f"{sha256}.npz"
