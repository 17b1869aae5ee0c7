"""The one object that an application needs: open a bundle, push samples, get events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from os import PathLike
from pathlib import Path
from threading import Lock
from time import time as wall_time
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from vskd.bundle import Bundle
from vskd.contract import Contract, Unit
from vskd.decide import Decider, Event
from vskd.engines import Engine
from vskd.errors import ContractError, ProfileError, UseError
from vskd.stream import Delivery, Health, Pause, Stream, TimeUnit, Window, whole_window
from vskd.stream.window import movement
from vskd.wearer.features import joined
from vskd.wearer.profile import Example, Profile
from vskd.wearer.recording import Samples, example_windows
from vskd.wearer.rule import ExampleRule, contradiction, example_of, spec_of

if TYPE_CHECKING:  # slow to import
    from numpy.typing import ArrayLike, NDArray


#: Times since 1970 in float64 are no finer than this, s.
SAME_TIME_S = 1e-6

P = ParamSpec("P")
R = TypeVar("R")


def _alone(method: Callable[Concatenate[Classifier, P], R]) -> Callable[Concatenate[Classifier, P], R]:
    """A method that one caller at a time may be in, and none after ``close``."""

    @wraps(method)
    def call(self: Classifier, /, *words: P.args, **options: P.kwargs) -> R:
        if not self._turn.acquire(blocking=False):
            raise UseError(
                f"two callers are in one classifier at the same time, the second in {method.__name__}",
                hint="Open one for each thread, or take turns with a threading.Lock",
            )
        try:
            self.engine  # noqa: B018 - refuses where it is closed
            return method(self, *words, **options)
        finally:
            self._turn.release()

    return call


class Classifier:
    """Activities from a wrist accelerometer.

    It serves one caller at a time and may be handed from thread to thread: a second one that calls it meanwhile gets a
    ``UseError``, and the first one's answer stays right. Threads that decide at the same time, and streams of several
    sensors, take a classifier each. ``with`` closes it; then the model's memory is free.

    Parameters
    ----------
    contract : of the model
    engine : runs the model
    unit, axes, time_unit : of the samples to come, see ``vskd.stream.Stream``
    clock : of the wall, s, monotonic; only ``silence`` depends on it
    profile : the wearer's examples; None of a model outside of a bundle, which can take none

    Examples
    --------
    >>> classifier = Classifier.open("wrist.bundle")  # doctest: +SKIP
    >>> for event in classifier.push(time_s, xyz):  # doctest: +SKIP
    ...     print(event.end_s, event.label, event.probability)
    """

    def __init__(
        self,
        contract: Contract,
        engine: Engine,
        *,
        unit: Unit = "g",
        axes: str = "x,y,z",
        time_unit: TimeUnit = "s",
        clock: Callable[[], float] = time.monotonic,
        profile: Profile | None = None,
    ) -> None:
        self.contract = contract
        self._engine: Engine | None = engine
        self._unit: Unit = unit
        self._axes = axes
        self._time_unit: TimeUnit = time_unit
        self._clock = clock
        self._profile = profile
        self._turn = Lock()
        self._begin()

    def _begin(self) -> None:
        contract = self.contract
        self._decider = self._new_decider()
        self._stream: Stream | None = None
        if contract.window.mode == "sliding":
            self._stream = Stream(contract, unit=self._unit, axes=self._axes, time_unit=self._time_unit)
        self._health = self._stream.health if self._stream else Health()
        batch_s = contract.resampling.batch_s if contract.decision.no_signal_after_s > 0 else 0.0
        self._delivery = Delivery(batch_s, clock=self._clock) if batch_s else None
        self._silent_since_s: float | None = None  # last sample before the latest silence that was reported

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        engine: str | None = None,
        recipe: str | None = None,
        threads: int = 1,
        unit: Unit = "g",
        axes: str = "x,y,z",
        time_unit: TimeUnit = "s",
        decision: Mapping[str, Any] | None = None,
        profile: str | Path | Profile | None = None,
    ) -> Classifier:
        """Open a bundle and load one of its models.

        The opened model stays in use while the bundle is replaced on disk; open it again to use the new one.

        Parameters
        ----------
        path : the bundle's folder
        engine : as in ``vskd.engines.ENGINE_NAMES``; None takes the first that bundle and installation allow
        recipe : of the model, e.g. ``"fp32"`` or ``"int8"``; None takes the most compact
        threads : computing threads of the engine
        unit, axes, time_unit : of the samples to come, see ``vskd.stream.Stream``
        decision : rules that differ from the contract's, e.g. ``{"smoothing": 0.5}``, see ``DecisionSpec``
        profile : the wearer's examples, made with this bundle, or the file that holds them; None begins an empty one

        Raises
        ------
        BundleError, ConfigError, ContractError, EngineError
        ProfileError : not a profile, or one of another bundle
        """
        bundle = Bundle.open(path)
        if isinstance(profile, str | Path):
            profile = Profile.open(profile)
        contract = bundle.contract.with_decision(**decision) if decision else bundle.contract
        name, entry = bundle.select(engine=engine, recipe=recipe)
        examples = Profile.of(bundle) if profile is None else profile.check_for(bundle, entry)
        loaded = bundle.load(name, entry, threads=threads)
        return cls(contract, loaded, unit=unit, axes=axes, time_unit=time_unit, profile=examples)

    def __repr__(self) -> str:
        window = self.contract.window
        cut = "whole recordings"
        if window.mode == "sliding":
            cut = f"{window.duration_s:g} s of samples every {window.hop_samples / window.rate_hz:g} s"
        model = f"{self._engine.name} {self._engine.version}" if self._engine else "closed"
        count = len(self._profile.examples) if self._profile else 0
        examples = f", {count} of the wearer's examples" if count else ""
        return (
            f"<Classifier: {len(self.labels)} activities by {cut}, {model}{examples}; "
            f"{self._unit}, axes {self._axes}, time in {self._time_unit}; {self._health.samples} samples so far>"
        )

    def __enter__(self) -> Classifier:
        return self

    def __exit__(self, *of_an_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the model. Labels, profile and health stay; whoever asks for a decision gets a ``UseError``."""
        self._engine = None

    @_alone
    def reset(self) -> None:
        """Forget all samples and decisions, as if it were just opened, for another recording or a sensor put on anew.

        The wearer's examples stay; ``health`` counts afresh.
        """
        self._begin()

    @property
    def engine(self) -> Engine:
        """What runs the model.

        Raises
        ------
        UseError : the classifier is closed
        """
        if self._engine is None:
            raise UseError("this classifier is closed", hint="Open it again: Classifier.open(bundle)")
        return self._engine

    @property
    def labels(self) -> tuple[str, ...]:
        """Of an event's probabilities: the contract's, then the activities that only the wearer's examples know."""
        return self._decider.labels

    @property
    def profile(self) -> Profile:
        """The wearer's examples; ``save`` of it writes them.

        Raises
        ------
        ProfileError : this model is of no bundle, and a profile names its bundle
        """
        if self._profile is None:
            raise ProfileError(
                "this classifier has no profile, which belongs to a bundle", hint="Use Classifier.open(bundle)"
            )
        return self._profile

    @_alone
    def enroll(self, label: str, time: ArrayLike, xyz: ArrayLike, *, sure: bool = False) -> Example:
        """Take a recording as one of the wearer's examples, and decide with it from now on, afresh.

        Parameters
        ----------
        label : of the activity; one that the network does not know joins by its examples alone
        time, xyz : as of ``push``, one performance of the activity, at least a window long
        sure : take an example that contradicts those of its own label

        Raises
        ------
        ProfileError : no example, or one that contradicts the others; nothing has changed then
        StreamError : not samples, or not in the unit that was named
        ContractError : the contract does not say how examples count
        EngineError : the model gives no embedding
        """
        profile = self.profile
        share = spec_of(self.contract).spectrum
        samples = Samples(time, xyz, self._unit, self._axes, self._time_unit)
        windows = example_windows(self.contract, samples)
        found = example_of(np.stack([self._feature(window, share) for window in windows]))
        example = Example(label, int(wall_time()), found.tobytes())
        enlarged = profile.with_example(example)
        if profile.examples and not sure:
            doubt = contradiction(profile.labels, profile.embeddings, label, found)
            if doubt:
                raise ProfileError(
                    f"this example of {label!r} contradicts the others: {doubt}",
                    hint="Record it again, or enrol it all the same (sure=True, --sure)",
                )
        self._profile = enlarged
        self._decider = self._new_decider()
        return example

    def _feature(self, window: Window, share: float) -> NDArray[Any]:
        return joined(self.engine.infer_both(window.samples)[1], window.samples, share)

    def _new_decider(self) -> Decider:
        """Decides by the contract, and by the examples where there are any."""
        profile = self._profile
        if profile is None or not profile.examples:
            return Decider(self.contract)
        return Decider(self.contract, ExampleRule.of(self.contract, profile.labels, profile.embeddings))

    @property
    def health(self) -> Health:
        """What became of the samples and of the windows."""
        return self._health

    @_alone
    def push(self, time: ArrayLike, xyz: ArrayLike) -> list[Event]:
        """Take samples, give the decisions that they complete.

        Parameters
        ----------
        time : (samples,), the sensor's timestamps; a number for a single sample
        xyz : (samples, 3), acceleration with gravity; (3,) for a single sample

        Raises
        ------
        StreamError : not samples, or not in the unit that was named
        ContractError : the model decides on whole recordings; use ``classify``
        """
        if self._stream is None:
            raise ContractError(
                "this model decides on whole recordings, which a stream does not have",
                hint="Call classify(time, xyz) with a recording, or use a bundle trained on sliding windows",
            )
        items = self._stream.advance(time, xyz)
        if self._delivery is not None and (last_s := self._stream.last_sample_s) is not None:
            self._delivery.arrived(self._stream.first_sample_s, last_s)
        return self._events(items)

    @_alone
    def finish(self) -> list[Event]:
        """The recording is over: decisions on samples that were held, since others might still have come before them.

        Where ``resampling.reorder_s`` is 0 none are held, and there are none.
        """
        return self._events(self._stream.finish()) if self._stream else []

    def _events(self, items: Iterable[Window | Pause]) -> list[Event]:
        return [event for item in items if (event := self._event(item)) is not None]

    @_alone
    def silence(self, for_s: float) -> list[Event]:
        """Report that no sample has come for some time: a live source calls this while it waits.

        Parameters
        ----------
        for_s : time since the last sample, s, by any clock

        Returns
        -------
        one ``no signal`` event, once per silence, when it has lasted longer than ``decision.no_signal_after_s``,
        and, where samples come in batches, than the latest ones lasted (``resampling.batch_s`` at the most); the
        samples that end it do not give it again. None before the first sample, whose clock is unknown until then
        """
        last_s = self._stream.last_sample_s if self._stream else None
        if last_s is None or last_s == self._silent_since_s:
            return []
        in_hand_s = self._delivery.in_hand_s if self._delivery else 0.0
        event = self._decider.no_signal(Pause(last_s, last_s + for_s - in_hand_s))
        if event is None:
            return []
        self._silent_since_s = last_s
        return [event]

    def _event(self, item: Window | Pause) -> Event | None:
        if isinstance(item, Window):
            return self._decide(item)
        since_s = self._silent_since_s
        was_reported = since_s is not None and abs(item.start_s - since_s) < SAME_TIME_S
        return None if was_reported else self._decider.no_signal(item)

    @_alone
    def classify(self, time: ArrayLike, xyz: ArrayLike) -> Event:
        """Decide on one whole recording (contracts with ``window.mode`` = ``whole``).

        Parameters
        ----------
        time : (samples,), strictly increasing, in the classifier's time unit
        xyz : (samples, 3), in the classifier's unit and axes

        Raises
        ------
        ContractError : the model decides on sliding windows; use ``push``
        StreamError : not a recording, or not in the unit that was named
        """
        if self._stream is not None:
            raise ContractError("this model decides on sliding windows", hint="Call push(time, xyz)")
        return self._decide(
            whole_window(self.contract, time, xyz, unit=self._unit, axes=self._axes, time_unit=self._time_unit)
        )

    @_alone
    def decide(self, window: Window) -> Event:
        """Run the model on one window and decide; still ones and those that cannot be known never reach the model."""
        return self._decide(window)

    def _decide(self, window: Window) -> Event:
        obstacle = window.obstacle
        if obstacle is not None:
            self._health.without_activity += 1
            return self._decider.without_activity(window, obstacle)
        limit_g = self.contract.decision.still_below_g
        movement_g = movement(window) if limit_g > 0 else 0.0
        still = movement_g < limit_g
        self._health.count_decision(still=still)
        if still:
            return self._decider.still(window, movement_g)
        if not self._decider.has_examples:
            return self._decider.decide(self.engine.infer(window.samples), window)
        logits, embedding = self.engine.infer_both(window.samples)
        return self._decider.decide(logits, window, embedding)
