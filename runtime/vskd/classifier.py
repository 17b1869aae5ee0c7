"""The one object that an application needs: open a bundle, push samples, get events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vskd.bundle import Bundle
from vskd.contract import Contract, Unit
from vskd.decide import Decider, Event
from vskd.engines import Engine, open_engine
from vskd.errors import ContractError
from vskd.stream import Health, Stream, TimeUnit, Window, whole_window

if TYPE_CHECKING:  # slow to import, see vskd.stream
    from numpy.typing import ArrayLike


class Classifier:
    """Activities from a wrist accelerometer.

    Parameters
    ----------
    contract : of the model
    engine : runs the model
    unit, axes, time_unit : of the samples to come, see ``vskd.stream.Stream``

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
    ) -> None:
        self.contract = contract
        self.engine = engine
        self._unit: Unit = unit
        self._axes = axes
        self._time_unit: TimeUnit = time_unit
        self._decider = Decider(contract)
        sliding = contract.window.mode == "sliding"
        self._stream = Stream(contract, unit=unit, axes=axes, time_unit=time_unit) if sliding else None

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        engine: str | None = None,
        recipe: str | None = None,
        threads: int = 1,
        unit: Unit = "g",
        axes: str = "x,y,z",
        time_unit: TimeUnit = "s",
    ) -> Classifier:
        """Open a bundle and load one of its models.

        Parameters
        ----------
        path : the bundle's folder
        engine : as in ``vskd.engines.ENGINES``; None takes the first that bundle and installation allow
        recipe : of the model, e.g. ``"fp32"``; None takes the most compact
        threads : computing threads of the engine
        unit, axes, time_unit : of the samples to come, see ``vskd.stream.Stream``

        Raises
        ------
        BundleError, ConfigError, EngineError
        """
        bundle = Bundle.open(path)
        name, entry = bundle.select(engine=engine, recipe=recipe)
        loaded = open_engine(name, bundle.model_path(entry), threads=threads)
        return cls(bundle.contract, loaded, unit=unit, axes=axes, time_unit=time_unit)

    @property
    def health(self) -> Health:
        """What the stream did with its samples."""
        return self._stream.health if self._stream else Health()

    def push(self, time: ArrayLike, xyz: ArrayLike) -> list[Event]:
        """Take samples, give the decisions that they complete.

        Parameters
        ----------
        time : (samples,), the sensor's timestamps
        xyz : (samples, 3), acceleration with gravity

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
        return [self.decide(window) for window in self._stream.push(time, xyz)]

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
        return self.decide(
            whole_window(self.contract, time, xyz, unit=self._unit, axes=self._axes, time_unit=self._time_unit)
        )

    def decide(self, window: Window) -> Event:
        """Run the model on one window and decide."""
        return self._decider.decide(self.engine.infer(window.samples), window)
