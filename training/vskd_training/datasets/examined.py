"""Any source, with its recordings looked at before they are used: what cannot be is left out, and so are copies.

Every data set is opened through this one, so that ``vskd data check`` and training see the same recordings.
"""

from __future__ import annotations

from collections.abc import Iterator

from vskd.sources.layout import Described
from vskd_training.datasets.copies import SPACING, CopyFinder, Shared
from vskd_training.datasets.fingerprint import fingerprint
from vskd_training.datasets.plausible import defects_of
from vskd_training.datasets.recording import Defect, Recording, RecordingInfo, Source

#: Goes into the fingerprint. Raise it with every change to what is left out.
EXAMINATION_VERSION = 1

#: A recording of which so much lies in another one is a copy of it.
_COPY = 0.9
#: Under two labels, so much of the same samples costs the recording; less may be where two cuts overlap.
_MOSTLY = 0.5


class Examined:
    """A source as a ``Source``, without the recordings that cannot be what they say.

    As with any source, a recording that turns out so while ``recordings`` runs is from then on among ``defects`` and
    no longer among ``infos``.

    Parameters
    ----------
    inner : the data set's own source
    """

    def __init__(self, inner: Source) -> None:
        self.inner = inner
        self.name, self.view, self.labels = inner.name, inner.view, inner.labels
        self.placement, self.gravity = inner.placement, inner.gravity
        #: Only one's own recordings are text that `vskd run` reads, too.
        self.files: Described | None = getattr(inner, "files", None)
        self._found: dict[str, tuple[Defect, ...]] = {}

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the inner source's, and of the rules here."""
        return fingerprint({"examined": EXAMINATION_VERSION}, self.inner.fingerprint())

    def infos(self) -> tuple[RecordingInfo, ...]:
        """Those of the inner source that are not known to be left out."""
        return tuple(info for info in self.inner.infos() if not self._is_left_out(info.id))

    def defects(self) -> tuple[Defect, ...]:
        """The inner source's, then what was found here, in the order of the recordings."""
        return (*self.inner.defects(), *(defect for found in self._found.values() for defect in found))

    def recordings(self) -> Iterator[Recording]:
        """Read them one by one; the impossible ones become defects."""
        finder, seen = CopyFinder(), dict[str, RecordingInfo]()
        for recording in self.inner.recordings():
            name = recording.info.id
            found = defects_of(recording, self.gravity)
            if not any(defect.left_out for defect in found):
                # Of what is left out nothing can be a copy.
                copies = finder.add(name, recording.acceleration_g)
                found += [_of_copy(recording, seen[shared.other], shared) for shared in copies]
                seen[name] = recording.info
            self._found[name] = tuple(found)
            if not self._is_left_out(name):
                yield recording

    def _is_left_out(self, name: str) -> bool:
        return any(defect.left_out for defect in self._found.get(name, ()))


def _of_copy(recording: Recording, other: RecordingInfo, shared: Shared) -> Defect:
    """What it means that a recording shares samples with one before it."""
    info, time_s = recording.info, recording.time_s
    at_s = float(time_s[shared.first] - time_s[0])
    what = (
        f"shares {shared.samples} samples with {other.id}: from {at_s:.2f} s on, there from sample {shared.other_first}"
    )
    # A few samples at either end of a shared stretch are not seen.
    share = (shared.samples + 2 * SPACING) / len(time_s)
    labels = (
        ""
        if "" in (info.label, other.label) or info.label == other.label
        else (f", and is labelled {info.label!r} here and {other.label!r} there")
    )
    if info.subject != other.subject:
        what += f", and is of {info.subject!r} here and of {other.subject!r} there{labels}"
        return Defect(info.id, what, "samples of another subject", way_out="keep it under the subject who it is of")
    if labels:
        left_out = share >= _MOSTLY
        way_out = "keep it under the label that it is of"
        return Defect(info.id, what + labels, "samples under two labels", left_out, not left_out, way_out)
    if share >= _COPY:
        return Defect(info.id, what, "copy of another clip", way_out="drop one of the two")
    way_out = "keep both on one side of every split, or cut them apart"
    return Defect(info.id, what, "overlaps another clip", left_out=False, way_out=way_out)
