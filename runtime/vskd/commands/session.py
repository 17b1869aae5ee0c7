"""One run of ``vskd run``: events to the view and the sink, and signs of life to systemd while samples stay out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from vskd.commands.terminal import say

if TYPE_CHECKING:  # numpy and rich are slow to import, and `--help` needs neither
    import numpy as np
    from numpy.typing import NDArray

    from vskd.classifier import Classifier
    from vskd.commands.input_option import Input
    from vskd.commands.view import View
    from vskd.contract import Contract
    from vskd.decide import Event
    from vskd.engines import Engine
    from vskd.sinks.watchdog import Watchdog
    from vskd.sources.csv import Chunk
    from vskd.sources.feed import OnEvent
    from vskd.wearer.profile import Profile


class Session:
    """What a run does with its events, and while it waits for samples."""

    def __init__(self, watchdog: Watchdog | None) -> None:
        self._watchdog = watchdog
        self._classifier: Classifier | None = None  # until ``begin``: the source may already be waited for
        self._view: View | None = None
        self.sink: OnEvent | None = None
        self.events = 0
        self._said: set[str] = set()  # kinds of defects
        self.recording: list[NDArray[np.float64]] = []  # of a contract on whole recordings, in its unit and axes

    def begin(
        self,
        contract: Contract,
        engine: Engine,
        found: Input,
        *,
        title: str | None,
        profile: Profile | None = None,
    ) -> None:
        """Classify from now on; with a title also draw the view."""
        from vskd.classifier import Classifier

        unit, axes, time_unit = found.unit, found.axes, found.samples.time_unit
        if title is None:
            self._classifier = Classifier(contract, engine, unit=unit, axes=axes, time_unit=time_unit, profile=profile)
            return
        from vskd.commands.view import RecordingEngine, View

        recorder = RecordingEngine(engine)
        self._classifier = Classifier(contract, recorder, unit=unit, axes=axes, time_unit=time_unit, profile=profile)
        self._view = View(
            replace(contract, labels=self._classifier.labels), title=title, unit=unit, axes=axes, time_unit=time_unit,
            engine=recorder, health=self._classifier.health,
        )  # fmt: skip

    @property
    def classifier(self) -> Classifier:
        """The classifier, from ``begin`` on."""
        if self._classifier is None:
            raise RuntimeError("begin() comes first")
        return self._classifier

    def on_screen(self) -> AbstractContextManager[None]:
        """The view, if there is one, while events come."""
        return self._view.on_screen() if self._view else nullcontext()

    def on_event(self, event: Event) -> None:
        """Count, show and write a decision, and say what is wrong with the signal, each kind once."""
        self.events += 1
        if self._view:
            self._view.show(event)
        if self.sink:
            self.sink(event)
        for defect in event.defects:
            if defect.kind not in self._said:
                self._said.add(defect.kind)
                self.note(f"warning: at {event.end_s:.2f} s: {defect.text}")

    def note(self, text: str) -> None:
        """Show a sentence to the user during the run."""
        if self._view:
            self._view.note(text)
        else:
            say(text, err=True)

    def waiting(self, silent_s: float) -> None:
        """No sample has come for so long, s."""
        for event in self._classifier.silence(silent_s) if self._classifier else ():
            self.on_event(event)
        if self._view:
            self._view.silent(silent_s)
        if self._watchdog:
            self._watchdog.alive(f"no samples for {silent_s:.0f} s")

    def observed(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The same chunks: the view gets each before it is classified, the watchdog is notified after it."""
        for chunk in chunks:
            if self.classifier.contract.window.mode == "whole":
                self.recording.append(chunk.xyz)
            if self._view:
                self._view.take(chunk)
            yield chunk
            if self._watchdog:
                self._watchdog.alive(f"{self.events} decisions")

    def sleep(self, seconds: float) -> None:
        """Sleep through a replay's pause, and keep the watchdog notified."""
        from vskd.sources.live_text import POLL_S

        while seconds > 0:
            time.sleep(min(seconds, POLL_S))
            seconds -= POLL_S
            if self._watchdog:
                self._watchdog.alive("waiting for the recording's next sample")
