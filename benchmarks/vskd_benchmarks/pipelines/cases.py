"""What is timed: sensor -> label with its split, the model alone, and the library's own call.

Every pipeline walks the same path: vskd's stream turns raw samples into a window, an encoder may draw an image, a
network gives logits, and a rule gives the label. The scopes are measured in turns on the same loaded model, so that
their differences mean something on a noisy machine. Runs inside a worker process; knows nothing of the parent, of how
a network was opened, or of how results are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle, ModelEntry
from vskd.bundle_files import GOLDEN_VECTORS
from vskd.checks.golden import read_golden
from vskd.contract import Contract
from vskd.decide import Decider
from vskd.engines import Engine, open_engine
from vskd.engines.onnxruntime import OnnxRuntimeEngine
from vskd.engines.tflite import TfliteEngine
from vskd.errors import EngineError
from vskd.stream import Stream, Window, stretch
from vskd_benchmarks.pipelines.wrist_signal import Delivery, WristSignal, wrist_signal

Float32 = NDArray[np.float32]
BareCall = Callable[[Float32], object]

#: Nanoseconds of a monotonic clock; an argument everywhere, so that a test can be the clock.
Clock = Callable[[], int]


@dataclass(frozen=True)
class Network:
    """What computes logits, opened.

    Attributes
    ----------
    infer : window (channels, samples), or image where there is an encoder -> logits (classes,)
    engine_version : of its library
    encode : window -> image; None where the model takes the window
    bare : the library's own call on a batch of one; None where it is the same as ``infer``
    decide : logits and window -> label; None takes the contract's rules
    options : of the session
    trained : whether the golden answers are this network's
    """

    infer: Callable[[Float32], Float32]
    engine_version: str
    encode: Callable[[Float32], Float32] | None = None
    bare: BareCall | None = None
    decide: Callable[[Float32, Window], object] | None = None
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    trained: bool = True


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
        self.row = 0

    def next_delivery(self) -> Delivery:
        """The samples that arrive next; not part of any measured time."""
        if self._position == 0 and self._signal.prime is not None:
            self._stream = Stream(self._contract)
            self._stream.push(self._signal.prime.time_s, self._signal.prime.xyz)
        self.row = self._position
        self._position = (self._position + 1) % len(self._signal.deliveries)
        return self._signal.deliveries[self.row]

    def window(self, delivery: Delivery) -> Window:
        """The window that the delivery completes."""
        if self._stream is not None:
            return self._stream.push(delivery.time_s, delivery.xyz)[-1]
        samples = stretch(delivery.time_s, delivery.xyz, self._contract.window.samples)
        return Window(samples, float(delivery.time_s[0]), float(delivery.time_s[-1]), after_gap=True)


class PipelineCase:
    """A network behind the runtime's stream, with or without an encoder of its own in front.

    Parameters
    ----------
    bundle : gives contract and golden windows
    network : opened
    signal : what it is fed

    Attributes
    ----------
    series : names of what ``run_once`` measures; the first is the one that counts
    path_series : of what ``run_path`` measures
    """

    def __init__(self, bundle: Bundle, network: Network, signal: WristSignal) -> None:
        self._bundle = bundle
        self._network = network
        self._signal = signal
        self._path = SensorPath(bundle.contract, signal)
        self._decide = network.decide or Decider(bundle.contract).decide
        encode = ("encode",) if network.encode else ()
        self.path_series: tuple[str, ...] = ("sensor_to_label", "resample", *encode, "infer", "decide")
        bare = ("bare_call",) if network.bare else ()
        self.series: tuple[str, ...] = (*self.path_series, "model_only", *bare)
        self._runs = (self.run_path, self._model_only, *((self._bare_call,) if network.bare else ()))
        self._turn = 0
        #: The latest path's logits, and what its network took.
        self._output: Float32 | None = None
        self._ready: Float32 | None = None

    def describe(self) -> dict[str, Any]:
        """What this is, as plain values for the result."""
        return {
            "engine_version": self._network.engine_version,
            "options": dict(self._network.options),
            "signal": self._signal.describe(),
        }

    def run_once(self, clock: Clock) -> tuple[int, ...]:
        """Do everything once: nanoseconds, in the order of ``series``."""
        # Who comes first pays for cold caches; so each of the scopes comes first in turn.
        self._turn = (self._turn + 1) % len(self._runs)
        order = [(self._turn + step) % len(self._runs) for step in range(len(self._runs))]
        measured = {which: self._runs[which](clock) for which in order}
        return tuple(value for which in sorted(measured) for value in measured[which])

    def run_path(self, clock: Clock) -> tuple[int, ...]:
        """Do once what a device does for one window, and no more: nanoseconds, in the order of ``path_series``."""
        encode, delivery = self._network.encode, self._path.next_delivery()
        start = clock()
        window = self._path.window(delivery)
        ready = window.samples
        resampled = encoded = clock()
        if encode is not None:
            ready = encode(ready)
            encoded = clock()
        logits = self._network.infer(ready)
        inferred = clock()
        self._decide(logits, window)
        decided = clock()
        self._output, self._ready = logits, ready
        encoding = () if encode is None else (encoded - resampled,)
        return decided - start, resampled - start, *encoding, inferred - encoded, decided - inferred

    def _latest_input(self) -> Float32:
        """What the latest path's network took; where no path was run yet, that of the first window."""
        if self._ready is None:
            self._ready = self._encoded(self._path.window(self._path.next_delivery()).samples)
        return self._ready

    def _model_only(self, clock: Clock) -> tuple[int, ...]:
        ready = self._latest_input()
        start = clock()
        self._network.infer(ready)
        return (clock() - start,)

    def _bare_call(self, clock: Clock) -> tuple[int, ...]:
        prepared, bare = self._latest_input()[np.newaxis], self._network.bare
        start = clock()
        if bare is not None:
            bare(prepared)
        return (clock() - start,)

    def _encoded(self, samples: Float32) -> Float32:
        return samples if self._network.encode is None else self._network.encode(samples)

    def last_output(self) -> tuple[int, Float32] | None:
        """The latest path's row in ``all_outputs`` and its logits (classes,); None before the first."""
        return None if self._output is None else (self._path.row, self._output)

    def all_outputs(self) -> Float32:
        """Logits (windows, classes) of every window of the signal, by the path."""
        return np.stack([self._network.infer(ready) for ready in self.inputs()])

    def golden_outputs(self) -> Float32 | None:
        """Logits (golden windows, classes) by the same encoder and network; None where the answers are not known."""
        if not self._network.trained or GOLDEN_VECTORS not in self._bundle.files:
            return None
        windows = read_golden(self._bundle).windows
        return np.stack([self._network.infer(self._encoded(window)) for window in windows])

    def inputs(self) -> list[Float32]:
        """What ``call`` takes, one for every window of the signal."""
        path = SensorPath(self._bundle.contract, self._signal)
        return [self._encoded(path.window(path.next_delivery()).samples) for _ in self._signal.deliveries]

    def call(self, ready: Float32) -> object:
        """The model's call alone."""
        return self._network.infer(ready)


def open_model(bundle: Bundle, entry: ModelEntry, *, engine: str, threads: int) -> PipelineCase:
    """A model of the bundle, its encoder inside.

    Raises
    ------
    BundleError : the file was changed
    EngineError : the engine is missing or refuses the file
    """
    network = engine_network(open_engine(engine, bundle.model_path(entry), threads=threads), threads)
    return PipelineCase(bundle, network, wrist_signal(bundle))


def engine_network(
    engine: Engine,
    threads: int,
    *,
    encode: Callable[[Float32], Float32] | None = None,
    decide: Callable[[Float32, Window], object] | None = None,
    trained: bool = True,
) -> Network:
    """A loaded engine as a network; see ``Network`` for the rest."""
    return Network(
        infer=engine.infer,
        engine_version=engine.version,
        encode=encode,
        bare=bare_call(engine),
        decide=decide,
        options=session_options(engine, threads),
        trained=trained,
    )


def session_options(engine: Engine, threads: int) -> dict[str, str | int | float | bool]:
    """The options that a session really has, as its library reports them; TensorFlow Lite reports none."""
    if isinstance(engine, OnnxRuntimeEngine):
        options = engine._session.get_session_options()
        entry = "session.intra_op.allow_spinning"
        return {
            "intra_op_num_threads": options.intra_op_num_threads,
            "inter_op_num_threads": options.inter_op_num_threads,
            entry: options.get_session_config_entry(entry),
        }
    return {"num_threads": threads}


def bare_call(engine: Engine) -> BareCall:
    """The library's own call on the model that an engine holds: a batch of one -> logits (1, classes).

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
