"""Sensors over I2C: the real drivers on a bus whose chips answer by their data sheets; pace, loss and return."""

from __future__ import annotations

import dataclasses
import errno
import functools
import importlib
import itertools
import sys
from contextlib import ExitStack

import adafruit_lsm6ds
import adafruit_mpu6050
import numpy as np
import pytest

from runtime.fake_i2c import Chip, FakeBus, FakeSMBus, Lsm6dsox, Mpu6050
from runtime.mean_engine import MeanEngine
from vskd import Classifier, Event
from vskd.commands.input_option import InputOption
from vskd.contract import STANDARD_GRAVITY_M_S2, Contract, SensorSpec, WindowSpec
from vskd.errors import ConfigError, DataError, MissingExtraError
from vskd.sources.csv import Chunk
from vskd.sources.feed import feed
from vskd.sources.i2c import GIVE_UP_AFTER_S, I2cSource
from vskd.sources.i2c_sensors import Place, open_bus

CHIPS: dict[str, type[Chip]] = {"lsm6dsox": Lsm6dsox, "mpu6050": Mpu6050}
EACH_SENSOR = pytest.mark.parametrize("sensor", list(CHIPS))


class Clock:
    """A clock that a sleep moves on, exactly."""

    def __init__(self) -> None:
        self.ns = 5_000_000_000

    def __call__(self) -> int:
        return self.ns

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.ns += round(seconds * 1e9)


class Bench:
    """A sensor, its clock, and what the source noted."""

    def __init__(self, sensor: str, *, g: tuple[float, float, float] = (0.25, -0.5, 1.0)) -> None:
        self.g = g
        self.clock = Clock()
        self.chip = CHIPS[sensor](lambda: self.g)
        self.sensor = sensor
        self.silences: list[float] = []
        self.notes: list[str] = []

    def waited(self, silent_s: float) -> None:
        self.silences.append(silent_s)

    def source(self, *, rate_hz: float = 50.0, range_g: float = 8.0, text: str = "") -> I2cSource:
        return I2cSource.open(
            Place.parse(text or f"i2c:{self.sensor}"),
            rate_hz=rate_hz,
            range_g=range_g,
            waiting=self.waited,
            note=self.notes.append,
            bus=lambda number: FakeBus(self.chip),
            clock_ns=self.clock,
            sleep=self.clock.sleep,
        )


class Answering(list[float]):
    """Gives a chip its bus back as soon as it was missed."""

    def __init__(self, chip: Chip) -> None:
        super().__init__()
        self._chip = chip

    def append(self, silent_s: float) -> None:
        super().append(silent_s)
        self._chip.is_powered = True


@pytest.fixture(autouse=True)
def patient_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drivers sleep while a sensor settles; a fake one has settled."""
    monkeypatch.setattr(adafruit_lsm6ds, "sleep", lambda seconds: None)
    monkeypatch.setattr(adafruit_mpu6050, "sleep", lambda seconds: None)


def taken(source: I2cSource, count: int) -> list[Chunk]:
    return list(itertools.islice(source.chunks(rows=1), count))


# --- values


@EACH_SENSOR
@pytest.mark.parametrize("range_g", [2.0, 3.0, 4.0, 8.0, 16.0, 50.0])
def test_readings_are_metres_per_second_squared_in_the_sensors_axes(sensor, range_g):
    bench = Bench(sensor, g=(0.25, -1.5, 0.75))
    (chunk,) = taken(bench.source(range_g=range_g), 1)
    expected = np.array([bench.g]) * STANDARD_GRAVITY_M_S2
    np.testing.assert_allclose(chunk.xyz, expected, atol=0.006)  # half a count at 16 g is 0.0024 m/s^2


@EACH_SENSOR
@pytest.mark.parametrize(("range_g", "held_g"), [(2.0, 2), (2.5, 4), (8.0, 8), (12.0, 16), (50.0, 16)])
def test_the_sensors_range_is_the_smallest_that_holds_the_contracts(sensor, range_g, held_g):
    bench = Bench(sensor)
    bench.source(range_g=range_g)
    codes = {"lsm6dsox": {2: 0, 16: 1, 4: 2, 8: 3}, "mpu6050": {2: 0, 4: 1, 8: 2, 16: 3}}
    assert bench.chip.range_code == codes[sensor][held_g]
    bench.g = (100.0, -100.0, 1.0)
    (chunk,) = taken(bench.source(range_g=range_g), 1)
    assert np.abs(chunk.xyz[0, :2]) / STANDARD_GRAVITY_M_S2 == pytest.approx(held_g, rel=0.001)  # it saturates


@pytest.mark.parametrize(("rate_hz", "code"), [(10, 1), (12.5, 1), (25, 2), (50, 3), (52, 3), (53, 4), (100, 4)])
def test_the_lsm6dsox_runs_at_the_nearest_rate_that_is_no_slower(rate_hz, code):
    bench = Bench("lsm6dsox")
    bench.source(rate_hz=rate_hz)
    assert bench.chip.rate_code == code
    assert bench.chip.registers[Lsm6dsox.CTRL2_G] >> 4 == 0  # the gyroscope is off


@pytest.mark.parametrize(
    ("rate_hz", "divisor", "filter_code"), [(50, 19, 4), (100, 9, 3), (30, 32, 5), (5, 199, 6), (1000, 0, 1)]
)
def test_the_mpu6050_runs_at_the_rate_or_above_and_filters_below_half_of_it(rate_hz, divisor, filter_code):
    bench = Bench("mpu6050")
    bench.source(rate_hz=rate_hz)
    assert bench.chip.registers[Mpu6050.SMPLRT_DIV] == divisor
    assert 1000 / (1 + divisor) >= rate_hz
    assert bench.chip.registers[Mpu6050.CONFIG] == filter_code


@pytest.mark.parametrize(("sensor", "most"), [("lsm6dsox", "6664"), ("mpu6050", "1000")])
def test_a_rate_that_the_sensor_does_not_have_is_refused(sensor, most):
    with pytest.raises(ConfigError, match=f"the sensor gives {most} Hz at most, the contract asks for 9000"):
        Bench(sensor).source(rate_hz=9000)


# --- pace


@EACH_SENSOR
def test_readings_come_at_the_contracts_rate_on_a_monotonic_clock(sensor):
    bench = Bench(sensor)
    times = [int(chunk.time[0]) for chunk in taken(bench.source(), 10)]
    assert times == [5_000_000_000 + 20_000_000 * index for index in range(10)]


def test_late_readings_are_not_caught_up_in_a_burst_and_keep_to_the_grid():
    bench = Bench("lsm6dsox")
    times = []
    for chunk in itertools.islice(bench.source().chunks(rows=1), 6):
        times.append(int(chunk.time[0]) // 1_000_000 - 5000)
        if len(times) == 2:
            bench.clock.ns += 75_000_000  # the work on it takes from 20 ms to 95 ms
    assert times == [0, 20, 100, 120, 140, 160]


def test_several_readings_make_a_chunk():
    (chunk,) = itertools.islice(Bench("mpu6050").source().chunks(rows=4), 1)
    assert chunk.time.tolist() == [5_000_000_000 + 20_000_000 * index for index in range(4)]
    assert (chunk.time.dtype, chunk.xyz.shape) == (np.int64, (4, 3))


# --- loss and return


def events_of(
    bench: Bench, contract: Contract, *, away: tuple[int, int], samples: int
) -> tuple[list[Event], Classifier]:
    """The sensor's power is off from one tick to another, by the clock."""
    off_ns, on_ns = (5_000_000_000 + tick * 20_000_000 for tick in away)
    source = bench.source()
    judged = contract.with_decision(no_signal_after_s=1.0)
    classifier = Classifier(judged, MeanEngine(), unit="m/s^2", time_unit=source.time_unit)
    events: list[Event] = []

    def power() -> None:
        if off_ns <= bench.clock.ns < on_ns:
            bench.chip.lose_power()
        else:
            bench.chip.is_powered = True

    def waiting(silent_s: float) -> None:
        bench.silences.append(silent_s)
        events.extend(classifier.silence(silent_s))

    def sleep(seconds: float) -> None:
        bench.clock.sleep(seconds)
        power()

    source._waiting, source._sleep = waiting, sleep
    feed(classifier, itertools.islice(source.chunks(rows=1), samples), events.append)
    return events, classifier


@EACH_SENSOR
def test_a_sensor_that_goes_away_and_comes_back_is_a_gap_and_no_signal(sensor, contract):
    bench = Bench(sensor, g=(0.0, 0.0, 1.0))
    events, classifier = events_of(bench, contract, away=(60, 200), samples=120)
    labels = [event.label for event in events]
    assert labels.count("no signal") == 1
    assert set(labels) == {"z up", "no signal"}
    assert labels.index("no signal") == 2  # windows of 32 samples, one every 16: two end before sample 60
    assert labels[3:] == ["z up"] * 2  # 60 samples after the return
    assert (classifier.health.gaps, classifier.health.not_finite) == (1, 0)
    assert len(bench.notes) == 2
    assert f"{Place(sensor)} does not answer: Remote I/O error; trying for another 60 s" in bench.notes[0]
    # Of the 140 ticks away; one finds that the settings are lost, the next sets it up anew.
    assert f"{Place(sensor)} answers again after 2.84 s" in bench.notes[1]


@EACH_SENSOR
def test_a_loss_of_power_between_two_readings_is_seen_by_its_zeros(sensor):
    bench = Bench(sensor)
    chunks = bench.source().chunks(rows=1)
    next(chunks)
    bench.chip.reset()  # it answers, but powered down or asleep
    after = [next(chunks) for _ in range(3)]
    assert all(chunk.xyz.any() for chunk in after)
    assert "came back without its settings" in bench.notes[0]


@EACH_SENSOR
def test_a_single_failed_reading_does_not_set_the_sensor_up_anew(sensor, monkeypatch):
    bench = Bench(sensor)
    chunks = bench.source().chunks(rows=1)
    first = next(chunks)
    bench.chip.is_powered = False
    resets: list[int] = []
    monkeypatch.setattr(bench.chip, "reset", lambda: resets.append(1))
    bench.silences = Answering(bench.chip)  # the source tells of one missed reading
    assert int(next(chunks).time[0] - first.time[0]) == 40_000_000
    assert not resets


@EACH_SENSOR
def test_a_sensor_that_stays_away_is_an_error_with_a_way_out(sensor):
    bench = Bench(sensor)
    chunks = bench.source().chunks(rows=1)
    next(chunks)
    bench.chip.lose_power()
    with pytest.raises(DataError, match=r"no answer for 60 s, above 60: .*i2cdetect -y 1"):
        next(chunks)
    assert max(bench.silences) <= GIVE_UP_AFTER_S
    assert len(bench.silences) > 2900


@EACH_SENSOR
def test_a_sensor_that_was_never_there_is_an_error_at_once(sensor):
    bench = Bench(sensor)
    bench.chip.is_powered = False
    address = f"{CHIPS[sensor].address:x}"
    with pytest.raises(DataError, match=rf"cannot read i2c:{sensor},bus=1: No I2C device at address: 0x{address}\."):
        bench.source()


@EACH_SENSOR
def test_another_chip_at_the_address_is_named(sensor):
    bench = Bench(sensor)
    bench.chip.registers[{"lsm6dsox": 0x0F, "mpu6050": 0x75}[sensor]] = 0x11
    with pytest.raises(DataError, match=r"Failed to find .* - check your wiring"):
        bench.source()


@EACH_SENSOR
def test_another_address_can_be_named(sensor):
    bench = Bench(sensor)
    bench.chip.address = CHIPS[sensor].address + 1  # the address pin is high
    source = bench.source(text=f"i2c:{sensor},address={bench.chip.address:#x}")
    assert taken(source, 1)[0].xyz.any()


# --- names


def test_a_place_is_read_as_it_is_written():
    assert Place.parse("i2c:lsm6dsox") == Place("lsm6dsox", 1, None)
    assert Place.parse("i2c:mpu6050,bus=3,address=0x69") == Place("mpu6050", 3, 0x69)
    assert str(Place("mpu6050", 3, 0x69)) == "i2c:mpu6050,bus=3,address=0x69"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("i2c:lsm6ds", r"no I2C sensor 'lsm6ds'.*Did you mean 'lsm6dsox'\? Known: lsm6dsox, mpu6050"),
        ("i2c:", r"no I2C sensor ''.*Known: lsm6dsox, mpu6050"),
        ("i2c:mpu6050,adress=0x69", "'adress=0x69' is no setting of i2c:mpu6050.*address=0x6b"),
        ("i2c:mpu6050,bus=one", "'bus=one' of i2c:mpu6050 is no number"),
    ],
)
def test_a_place_that_is_none_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        Place.parse(text)


def test_a_missing_driver_names_its_extra(monkeypatch):
    for package in ("adafruit_blinka", "adafruit_mpu6050"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"needs adafruit_mpu6050.*pip install 'vskd\[i2c\]'"):
        Bench("mpu6050").source()
    with pytest.raises(MissingExtraError, match=r"needs adafruit_blinka.*pip install 'vskd\[i2c\]'"):
        open_bus(1)


def test_a_bus_that_is_not_there_is_named():
    with pytest.raises(DataError, match=r"cannot open /dev/i2c-250: I2C Bus #250 not found.*raspi-config.*bus=N"):
        open_bus(250)


@EACH_SENSOR
def test_the_bus_of_this_machine_carries_the_drivers(sensor, monkeypatch):
    """Drivers, bus devices and Blinka's access to Linux are the real ones; only /dev/i2c-2 is not."""
    opened: list[int] = []
    bench = Bench(sensor)

    def smbus(number: int) -> FakeSMBus:
        opened.append(number)
        return FakeSMBus(bench.chip)

    linux = importlib.import_module("adafruit_blinka.microcontroller.generic_linux.i2c")
    monkeypatch.setattr(linux.smbus, "SMBus", smbus)
    source = I2cSource.open(
        Place(sensor, bus=2),
        rate_hz=50.0,
        range_g=8.0,
        waiting=bench.waited,
        note=bench.notes.append,
        clock_ns=bench.clock,
        sleep=bench.clock.sleep,
    )
    (chunk,) = taken(source, 1)
    assert opened == [2]
    np.testing.assert_allclose(chunk.xyz, np.array([bench.g]) * STANDARD_GRAVITY_M_S2, atol=0.002)


def test_a_bus_that_may_not_be_opened_is_named(monkeypatch):
    def smbus(number: int) -> FakeSMBus:
        raise PermissionError(errno.EACCES, "Permission denied")

    linux = importlib.import_module("adafruit_blinka.microcontroller.generic_linux.i2c")
    monkeypatch.setattr(linux.smbus, "SMBus", smbus)
    with pytest.raises(DataError, match=r"cannot open /dev/i2c-1: Permission denied.*group i2c"):
        open_bus(1)


# --- the command


def test_the_command_reads_a_sensor_in_its_unit_and_axes(command, monkeypatch, tmp_path, make_bundle, contract):
    ticks = itertools.count()

    def acceleration() -> tuple[float, float, float]:
        if next(ticks) > 450:
            raise KeyboardInterrupt
        return 1.0, 0.0, 0.0

    bus = FakeBus(Mpu6050(acceleration))
    clock = Clock()
    opened = functools.partial(I2cSource.open, bus=lambda number: bus, clock_ns=clock, sleep=clock.sleep)
    monkeypatch.setattr(I2cSource, "open", opened)
    bundle = make_bundle(tmp_path / "x.bundle", contract)
    code, out, err = command("run", bundle, "--input", "i2c:mpu6050", "--axes", "y,x,z", "--engine", "onnxruntime")
    assert code == 0, err
    labels = [line.split('"label": ')[1][:6] for line in out.splitlines()]
    assert set(labels) == {'"y up"'}
    assert "stopped" in err
    assert "at 50.00 Hz" in err


def test_a_sensor_is_set_up_for_the_bundles_rate_and_range(monkeypatch, contract):
    asked = {}
    monkeypatch.setattr(I2cSource, "open", lambda place, **settings: asked.update(settings, place=place))
    window, sensor = WindowSpec(samples=32, rate_hz=25.0, hop_samples=16), SensorSpec(range_g=4.0)
    other = dataclasses.replace(contract, window=window, sensor=sensor)
    with ExitStack() as resources:
        InputOption("i2c:mpu6050,bus=2").open(other, waiting=list, note=print, resources=resources)
    assert asked == {
        "place": Place("mpu6050", bus=2), "rate_hz": 25.0, "range_g": 4.0, "waiting": list, "note": print,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["i2c:lis3dh"], "there is no I2C sensor 'lis3dh'"),
        (["i2c:mpu6050", "--unit", "g"], "the drivers of i2c: sensors give m/s^2; leave out --unit"),
        (["i2c:mpu6050", "--follow"], "has no end anyway"),
        (["i2c:mpu6050", "--replay-speed", "1"], "--replay-speed is for recordings"),
    ],
)
def test_misuse_is_explained_with_exit_code_2(command, words, message):
    code, out, err = command("run", "x.bundle", "--input", *words)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [(["i2c:lis3dh"], "there is no I2C sensor"), (["i2c:mpu6050", "--unit", "g"], "leave out --unit")],
)
def test_the_self_test_refuses_it_as_well_before_it_opens_the_bundle(command, words, message):
    code, out, err = command("selftest", "x.bundle", "--input", *words)
    assert (code, out) == (2, "")
    assert message in " ".join(err.split())


@pytest.mark.parametrize("verb", ["run", "selftest"])
def test_a_sensor_is_no_whole_recording(command, verb, tmp_path, make_bundle, whole_contract):
    bundle = make_bundle(tmp_path / "x.bundle", whole_contract)
    code, out, err = command(verb, bundle, "--input", "i2c:mpu6050")
    assert (code, out) == (2, "")
    assert "i2c:mpu6050 has no end, and this bundle decides on whole recordings" in err


def test_the_self_test_reads_a_sensor_and_says_which_way_is_up(
    command, monkeypatch, tmp_path, make_golden_bundle, contract
):
    noise = np.random.default_rng(0)
    bus = FakeBus(Lsm6dsox(lambda: tuple(noise.normal([0.0, -1.0, 0.1], 0.01))))
    clock = Clock()
    opened = functools.partial(I2cSource.open, bus=lambda number: bus, clock_ns=clock, sleep=clock.sleep)
    monkeypatch.setattr(I2cSource, "open", opened)
    bundle = make_golden_bundle(tmp_path / "x.bundle", contract)
    code, out, err = command("selftest", bundle, "--input", "i2c:lsm6dsox", "--axes", "y,x,z")
    assert code == 0, out + err
    (line,) = [line for line in out.splitlines() if " source " in line]
    assert "50.00 Hz, 501 samples" in line
    assert "median x -1.00 g, y +0.00 g, z +0.10 g" in line.replace("-0.00", "+0.00")
