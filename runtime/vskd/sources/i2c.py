"""Samples from an accelerometer on an I2C bus of this machine.

The sensor is read at the contract's rate. Timestamps are this machine's monotonic clock, read just before the sensor. A
late reading is not followed by a burst of others: the next ones keep to the grid.

A sensor that does not answer is a pause in the stream. It is read again at each tick; when it answers, its settings
are read back, because one that has lost its power in between answers zeros until it is set up anew. Only one that
does not answer for ``GIVE_UP_AFTER_S`` is an error.

The axes are the sensor's own; the contract's axis map is applied by the stream. This module does not depend on
windows or models.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from vskd.errors import DataError
from vskd.sources.csv import Chunk
from vskd.sources.i2c_sensors import SENSORS, Place, Sensor, missing_driver, open_bus, reason_of
from vskd.sources.live_text import Waiting
from vskd.stream import TimeUnit

#: A sensor that has not answered for so long, s, is an error. Shorter is a pause.
GIVE_UP_AFTER_S = 60.0


class I2cSource:
    """Reads a sensor at a rate, without an end; made by ``open``.

    Parameters
    ----------
    place : of the sensor
    rate_hz : of the readings; the contract's
    range_g : that the sensor must hold; the contract's
    waiting : called with the time since the last reading, s, while the sensor does not answer
    note : called with a sentence when it stops answering, and when it answers again
    bus : of the sensor, open
    clock_ns, sleep : a test passes its own; the clock is monotonic

    Attributes
    ----------
    time_unit : nanoseconds
    """

    time_unit: TimeUnit = "ns"

    def __init__(
        self,
        place: Place,
        *,
        rate_hz: float,
        range_g: float,
        waiting: Waiting,
        note: Callable[[str], object],
        bus: Any,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._place = place
        self._settings = {"rate_hz": rate_hz, "range_g": range_g}
        self._period_ns = round(1e9 / rate_hz)
        self._waiting, self._note = waiting, note
        self._clock_ns, self._sleep = clock_ns, sleep
        self._bus = bus
        self._sensor: Sensor | None = None  # until it is opened, and after it has lost its settings
        self._may_be_reset = False  # whether the sensor may have lost its settings
        self._is_silent = False

    @classmethod
    def open(cls, place: Place, *, bus: Callable[[int], Any] = open_bus, **settings: Any) -> I2cSource:
        """Open the bus and set up the sensor; ``settings`` are those of the class.

        Raises
        ------
        DataError : there is no such bus, or no such sensor on it
        MissingExtraError : the drivers are not installed
        """
        source = cls(place, bus=bus(place.bus), **settings)
        try:
            source._sensor = source._opened()
        except OSError as error:
            raise source._lost(reason_of(error)) from error
        return source

    def chunks(self, rows: int) -> Iterator[Chunk]:
        """Chunks of so many readings.

        Raises
        ------
        DataError : the sensor has not answered for ``GIVE_UP_AFTER_S``
        """
        times: list[int] = []
        values: list[tuple[float, float, float]] = []
        for time_ns, xyz in self._readings():
            times.append(time_ns)
            values.append(xyz)
            if len(times) == rows:
                yield Chunk(np.array(times, dtype=np.int64), np.array(values, dtype=np.float64))
                times, values = [], []

    def _readings(self) -> Iterator[tuple[int, tuple[float, float, float]]]:
        answered_ns = due_ns = self._clock_ns()
        while True:
            if (wait_ns := due_ns - self._clock_ns()) > 0:
                self._sleep(wait_ns / 1e9)
            now_ns = self._clock_ns()
            try:
                xyz = self._read()
            except OSError as error:
                self._silent((self._clock_ns() - answered_ns) / 1e9, reason_of(error))
            else:
                self._answers((now_ns - answered_ns) / 1e9)
                answered_ns = now_ns
                yield now_ns, xyz
            late_ns = max(0, self._clock_ns() - due_ns)
            due_ns += self._period_ns * (late_ns // self._period_ns + 1)

    def _read(self) -> tuple[float, float, float]:
        sensor = self._sensor = self._sensor or self._opened()
        xyz = sensor.read()
        # Gravity never reads as zero on all axes; a sensor without its settings does.
        if self._may_be_reset or not any(xyz):
            if not sensor.is_set_up():
                self._sensor = None
                raise OSError("it came back without its settings")
            self._may_be_reset = False
        return xyz

    def _opened(self) -> Sensor:
        """The sensor, set up; the drivers' error for a missing one becomes an OSError."""
        try:
            return SENSORS[self._place.sensor](self._bus, self._place.address, **self._settings)
        except ModuleNotFoundError as error:
            raise missing_driver(error) from error
        except (ValueError, RuntimeError) as error:
            raise OSError(reason_of(error)) from error

    def _silent(self, for_s: float, reason: str) -> None:
        self._may_be_reset = True
        if for_s > GIVE_UP_AFTER_S:
            raise self._lost(f"no answer for {for_s:.0f} s, above {GIVE_UP_AFTER_S:.0f}: {reason}")
        if not self._is_silent:
            self._note(f"{self._place} does not answer: {reason}; trying for another {GIVE_UP_AFTER_S:.0f} s")
        self._is_silent = True
        self._waiting(for_s)

    def _answers(self, after_s: float) -> None:
        if self._is_silent:
            self._note(f"{self._place} answers again after {after_s:.2f} s")
        self._is_silent = False

    def _lost(self, reason: str) -> DataError:
        hint = f"Check its wiring and power; `i2cdetect -y {self._place.bus}` shows who answers"
        return DataError(f"cannot read {self._place}: {reason}", hint=hint)
