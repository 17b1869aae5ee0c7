"""Accelerometers on an I2C bus of this machine, through the maintained CircuitPython drivers.

Each has its own rate set to the nearest one at or above the contract's, its range to the smallest one that holds the
contract's. The drivers are imported where a sensor is opened; naming one loads nothing, not even numpy.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from vskd.errors import ConfigError, DataError, MissingExtraError, did_you_mean

#: What an ``--input`` of this kind begins with.
PREFIX = "i2c:"

#: Bus of the pins 3 and 5 of a Raspberry Pi.
USUAL_BUS = 1

#: Output rates of the MPU-6050's low-pass filter: bandwidth of the accelerometer, Hz -> code of DLPF_CFG (register map
#: RM-MPU-6000A, register 26). With any of them on, the sensor samples at 1 kHz divided by 1 + SMPLRT_DIV.
_MPU6050_BANDWIDTHS = {184.0: 1, 94.0: 2, 44.0: 3, 21.0: 4, 10.0: 5, 5.0: 6}
_MPU6050_RATE_HZ = 1000.0
_MPU6050_RANGES = {2.0: 0, 4.0: 1, 8.0: 2, 16.0: 3}

#: The LSM6DSOX has a slower rate, 1.6 Hz, in its low-power mode only, which the driver does not switch on.
_LSM6DSOX_SLOWEST_HZ = 12.5


@dataclass(frozen=True)
class Place:
    """Where a sensor is.

    Attributes
    ----------
    sensor : as in ``SENSORS``
    bus : N of /dev/i2c-N
    address : on the bus; None takes the one that the sensor has from the factory
    """

    sensor: str
    bus: int = USUAL_BUS
    address: int | None = None

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read ``i2c:lsm6dsox`` or ``i2c:lsm6dsox,bus=1,address=0x6b``.

        Raises
        ------
        ConfigError : no such sensor or setting, or one that is no number
        """
        sensor, *settings = text.removeprefix(PREFIX).split(",")
        if sensor not in SENSORS:
            raise ConfigError(f"there is no I2C sensor {sensor!r}", hint=did_you_mean(sensor, SENSORS))
        found: dict[str, int] = {}
        for setting in settings:
            name, _, value = setting.partition("=")
            if name not in ("bus", "address"):
                raise ConfigError(f"{setting!r} is no setting of {PREFIX}{sensor}", hint="Known: bus=1, address=0x6b")
            try:
                found[name] = int(value, base=0)
            except ValueError as error:
                raise ConfigError(f"{setting!r} of {PREFIX}{sensor} is no number", hint=f"Say {name}=1") from error
        return cls(sensor, **found)

    def __str__(self) -> str:
        address = "" if self.address is None else f",address={self.address:#x}"
        return f"{PREFIX}{self.sensor},bus={self.bus}{address}"


class Sensor(Protocol):
    """A driver, set up."""

    def read(self) -> tuple[float, float, float]:
        """The three axes, m/s^2; OSError if the sensor does not answer."""
        ...

    def is_set_up(self) -> bool:
        """Whether the sensor still has the settings that it was given; OSError if it does not answer."""
        ...


class Lsm6dsox:
    """ST LSM6DSOX, its gyroscope off."""

    def __init__(self, bus: Any, address: int | None, *, rate_hz: float, range_g: float) -> None:
        package = importlib.import_module("adafruit_lsm6ds")
        driver = importlib.import_module("adafruit_lsm6ds.lsm6dsox").LSM6DSOX
        self._driver = driver(bus) if address is None else driver(bus, address)
        rates = {hz: code for code, hz in package.Rate.string.items() if hz >= _LSM6DSOX_SLOWEST_HZ}
        self._rate = _at_least(rate_hz, rates)
        self._driver.gyro_data_rate = package.Rate.RATE_SHUTDOWN
        ranges = {float(width): code for code, width in package.AccelRange.string.items()}
        self._driver.accelerometer_range = _widest_if_beyond(range_g, ranges)
        self._driver.accelerometer_data_rate = self._rate

    def read(self) -> tuple[float, float, float]:
        values: tuple[float, float, float] = self._driver.acceleration
        return values

    def is_set_up(self) -> bool:
        return bool(self._driver.accelerometer_data_rate == self._rate)


class Mpu6050:
    """InvenSense MPU-6050; its low-pass filter at half the rate or below."""

    def __init__(self, bus: Any, address: int | None, *, rate_hz: float, range_g: float) -> None:
        driver = importlib.import_module("adafruit_mpu6050").MPU6050
        self._driver = driver(bus) if address is None else driver(bus, address)
        _at_least(rate_hz, {_MPU6050_RATE_HZ: 0})
        self._range = _widest_if_beyond(range_g, _MPU6050_RANGES)
        self._driver.accelerometer_range = self._range
        fitting = [width for width in _MPU6050_BANDWIDTHS if width <= rate_hz / 2]
        self._driver.filter_bandwidth = _MPU6050_BANDWIDTHS[max(fitting, default=min(_MPU6050_BANDWIDTHS))]
        self._driver.sample_rate_divisor = min(255, int(_MPU6050_RATE_HZ / rate_hz) - 1)

    def read(self) -> tuple[float, float, float]:
        values: tuple[float, float, float] = self._driver.acceleration
        return values

    def is_set_up(self) -> bool:
        return not self._driver.sleep and bool(self._driver.accelerometer_range == self._range)


#: Name in ``i2c:NAME`` -> what opens the sensor.
SENSORS: Mapping[str, Callable[..., Sensor]] = {"lsm6dsox": Lsm6dsox, "mpu6050": Mpu6050}


def open_bus(number: int) -> Any:
    """The bus /dev/i2c-N, as the drivers want it.

    Blinka's own access to Linux, but without its search for the pins of a known board, which needs more packages.

    Raises
    ------
    DataError : no such bus, or it cannot be opened
    MissingExtraError : the extra is not installed
    """
    try:
        blinka = importlib.import_module("adafruit_blinka")
        linux = importlib.import_module("adafruit_blinka.microcontroller.generic_linux.i2c")
    except ModuleNotFoundError as error:
        raise missing_driver(error) from error
    try:
        return type("LinuxBus", (linux.I2C, blinka.Lockable), {})(number)
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"cannot open /dev/i2c-{number}: {reason_of(error)}",
            hint="Switch I2C on (raspi-config), name another with bus=N, or add yourself to the group i2c",
        ) from error


def _at_least(rate_hz: float, rates: Mapping[float, int]) -> int:
    """Code of the slowest of the sensor's rates that is no slower than this."""
    enough = [hz for hz in rates if hz >= rate_hz]
    if not enough:
        raise ConfigError(f"the sensor gives {max(rates):g} Hz at most, the contract asks for {rate_hz:g}")
    return rates[min(enough)]


def _widest_if_beyond(range_g: float, ranges: Mapping[float, int]) -> int:
    """Code of the smallest of the sensor's ranges that holds this one, or of the widest: what is beyond saturates."""
    return ranges[min((width for width in ranges if width >= range_g), default=max(ranges))]


def missing_driver(error: ModuleNotFoundError) -> MissingExtraError:
    """The error for a driver that is not installed."""
    return MissingExtraError(error.name or "a driver", extra="i2c", purpose="reading an I2C sensor")


def reason_of(error: Exception) -> str:
    """The message of the system or a driver, on one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()).rstrip(".!") or type(error).__name__
