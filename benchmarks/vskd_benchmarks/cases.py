"""What is timed on a bundle's model: sensor -> label with its split, the engine alone, and the library's own call.

The three are measured in turns on the same loaded model, so that their differences mean something on a noisy machine.
Runs inside a worker process; knows nothing of the parent or of how results are shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle, ModelEntry
from vskd.contract import Contract
from vskd.decide import Decider
from vskd.engines import Engine, OnnxRuntimeEngine, TfliteEngine, open_engine
from vskd.errors import EngineError
from vskd.stream import Stream, Window, stretch
from vskd_benchmarks.measure import Clock
from vskd_benchmarks.wrist_signal import Delivery, WristSignal, wrist_signal

Float32 = NDArray[np.float32]
BareCall = Callable[[Float32], object]


class Case(Protocol):
    """Something that can be timed, again and again.

    Attributes
    ----------
    series : names of what one call measures; the first is the one that counts
    """

    series: tuple[str, ...]

    def run_once(self, clock: Clock) -> tuple[int, ...]:
        """Do the work once: nanoseconds, in the order of ``series``."""
        ...

    def describe(self) -> dict[str, Any]:
        """What this is, as plain values for the result."""
        ...


class SensorPath:
    """The runtime's way from raw samples to a window; starts the signal again at its end.

    Parameters
    ----------
    contract : sliding windows or whole recordings
    signal : for this contract
    """

    def __init__(self, contract: Contract, signal: WristSignal) -> None:
        self._contract = contract
        self._signal = signal
        self._position = 0
        self._stream: Stream | None = None

    def next_delivery(self) -> Delivery:
        """The samples that arrive next; not part of any measured time."""
        if self._position == 0 and self._signal.prime is not None:
            self._stream = Stream(self._contract)
            self._stream.push(self._signal.prime.time_s, self._signal.prime.xyz)
        delivery = self._signal.deliveries[self._position]
        self._position = (self._position + 1) % len(self._signal.deliveries)
        return delivery

    def window(self, delivery: Delivery) -> Window:
        """The window that the delivery completes."""
        if self._stream is not None:
            return self._stream.push(delivery.time_s, delivery.xyz)[-1]
        samples = stretch(delivery.time_s, delivery.xyz, self._contract.window.samples)
        return Window(samples, float(delivery.time_s[0]), float(delivery.time_s[-1]), after_gap=True)


class ModelCase:
    """One model in one engine, with the encoder inside the model.

    Parameters
    ----------
    bundle : opened
    entry : the model
    engine : loaded with it
    """

    series: tuple[str, ...] = ("sensor_to_label", "resample", "infer", "decide", "model_only", "bare_call")

    def __init__(self, bundle: Bundle, entry: ModelEntry, engine: Engine) -> None:
        self._entry = entry
        self._engine = engine
        self._signal = wrist_signal(bundle)
        self._path = SensorPath(bundle.contract, self._signal)
        self._decider = Decider(bundle.contract)
        self._bare = bare_call(engine)
        self._window = self._path.window(self._path.next_delivery())
        self._turn = 0

    @classmethod
    def open(cls, bundle: Bundle, entry: ModelEntry, *, engine: str, threads: int) -> ModelCase:
        """Load the model.

        Raises
        ------
        BundleError : the file was changed
        EngineError : the engine is missing or refuses the file
        """
        return cls(bundle, entry, open_engine(engine, bundle.model_path(entry), threads=threads))

    def describe(self) -> dict[str, Any]:
        return {"engine_version": self._engine.version, "signal": self._signal.describe()}

    def run_once(self, clock: Clock) -> tuple[int, ...]:
        # Who comes first pays for cold caches; so each of the three comes first in turn.
        self._turn = (self._turn + 1) % 3
        model_only_ns = bare_ns = 0
        split_ns = (0, 0, 0, 0)
        for step in range(3):
            which = (self._turn + step) % 3
            if which == 0:
                split_ns = self._sensor_to_label(clock)
            elif which == 1:
                model_only_ns = self._model_only(clock)
            else:
                bare_ns = self._bare_call(clock)
        return (*split_ns, model_only_ns, bare_ns)

    def _sensor_to_label(self, clock: Clock) -> tuple[int, int, int, int]:
        delivery = self._path.next_delivery()
        start = clock()
        window = self._path.window(delivery)
        resampled = clock()
        logits = self._engine.infer(window.samples)
        inferred = clock()
        self._decider.decide(logits, window)
        decided = clock()
        self._window = window
        return decided - start, resampled - start, inferred - resampled, decided - inferred

    def _model_only(self, clock: Clock) -> int:
        samples = self._window.samples
        start = clock()
        self._engine.infer(samples)
        return clock() - start

    def _bare_call(self, clock: Clock) -> int:
        prepared = self._window.samples[np.newaxis]
        start = clock()
        self._bare(prepared)
        return clock() - start


def bare_call(engine: Engine) -> BareCall:
    """The library's own call on the model that an engine holds: (1, channels, samples) -> logits (1, classes).

    It takes the engine's own session: a second one would double the memory and compete for the caches.

    Raises
    ------
    EngineError : an engine whose library this benchmark does not know
    """
    if isinstance(engine, OnnxRuntimeEngine):
        session, name, outputs = engine._session, engine._input, engine._outputs
        return lambda prepared: session.run(outputs, {name: prepared})[0]
    if isinstance(engine, TfliteEngine):
        interpreter, source, target = engine._interpreter, engine._input, engine._output

        def invoke(prepared: Float32) -> object:
            interpreter.set_tensor(source, prepared)
            interpreter.invoke()
            return interpreter.get_tensor(target)

        return invoke
    raise EngineError(f"the benchmark does not know the library's own call of {engine.name}")
