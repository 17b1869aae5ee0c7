"""The contract and the closed records beneath it: what they write they read, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vskd.closed import Bounds, from_mapping, to_mapping
from vskd.contract import (
    Contract,
    DecisionSpec,
    ExamplesSpec,
    ExampleWeights,
    GafSpec,
    LowPassSpec,
    RawSpec,
    RecordingSpec,
    ResamplingSpec,
    SignalSpec,
    WindowSpec,
)
from vskd.decide import NO_SIGNAL, STILL, UNKNOWN
from vskd.errors import ConfigError, ContractError, VskdError
from vskd.untrusted.text import RESERVED_LABELS, label_problem

CONTRACT = Contract(labels=("sit", "walk"))
RAW = Contract(labels=("sit", "walk"), gaf=None, raw=RawSpec())

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def paths_into(mapping: dict[str, Any], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of the nested mapping, as a path."""
    paths = []
    for key, value in mapping.items():
        paths.append((*prefix, key))
        paths += paths_into(value, (*prefix, key)) if isinstance(value, dict) else []
    return paths


PATHS = paths_into(to_mapping(CONTRACT))


def with_value(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    mapping = json.loads(CONTRACT.to_json())
    inner = mapping
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return mapping


@settings(max_examples=60)
@given(
    labels=st.lists(
        st.text(max_size=6).filter(lambda text: not label_problem(text)), min_size=2, max_size=5, unique=True
    ),
    samples=st.integers(64, 300),
    rate_hz=st.floats(1, 1000),
    temperature=st.floats(0.01, 50),
)
def test_a_contract_reads_back_what_it_writes(labels, samples, rate_hz, temperature):
    window = WindowSpec(samples=samples, rate_hz=rate_hz)
    contract = Contract(labels=tuple(labels), window=window).with_decision(temperature=temperature)
    assert Contract.from_json(contract.to_json()) == contract
    assert Contract.from_json(contract.to_json()).to_json() == contract.to_json()


@settings(max_examples=300)
@given(path=st.sampled_from(PATHS), value=JSON)
def test_any_value_in_any_place_gives_a_contract_or_a_contract_error(path, value):
    try:
        contract = Contract.from_mapping(with_value(path, value))
    except ContractError:
        return
    assert Contract.from_json(contract.to_json()) == contract


@pytest.mark.parametrize("path", PATHS)
def test_a_misspelt_key_is_refused_with_the_right_one(path):
    mapping = with_value(path, None)
    inner = mapping
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1] + "_"] = inner.pop(path[-1])
    with pytest.raises(ContractError, match=f"unknown key '{path[-1]}_' .*Did you mean '{path[-1]}'"):
        Contract.from_mapping(mapping)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("labels",), ["sit"], "at least two different labels"),
        (("labels",), ["sit", "sit"], "at least two different labels"),
        (("labels",), "sit,walk", "labels must be a list"),
        (("labels",), ["sit", 3], r"labels\[1\] must be of type str, got 3"),
        (("window",), [], "contract.window must be a table"),
        (("window", "mode"), "slidng", "window.mode cannot be 'slidng'.*Did you mean 'sliding'"),
        (("window", "samples"), 7, "window.samples must lie between 8 and 16384, got 7"),
        (("window", "samples"), 128.0, "window.samples must be of type int, got 128.0"),
        (("window", "samples"), True, "window.samples must be of type int, got True"),
        (("window", "samples"), 32, "an image of 64 pixels cannot be drawn from 32 samples"),
        (("window", "rate_hz"), 0, "window.rate_hz must lie between 1 and 2000 Hz, got 0"),
        (("window", "rate_hz"), math.nan, "window.rate_hz must be a finite number, got nan"),
        (("window", "rate_hz"), math.inf, "window.rate_hz must be a finite number, got inf"),
        (("window", "rate_hz"), 10**400, "window.rate_hz must be a finite number"),
        (("window", "hop_samples"), 129, "window.hop_samples must lie between 1 and"),
        (("window", "hop_samples"), 0, "window.hop_samples must lie between 1 and 16384, got 0"),
        (("resampling", "max_gap_s"), 0.0, "resampling.max_gap_s must lie between 0.001 and 60 s, got 0.0"),
        (("sensor", "unit"), "m/s^2", "sensor.unit cannot be"),
        (("gaf", "fields"), [], "gaf.fields must name gasf, gadf or both"),
        (("gaf", "fields"), ["gadf", "gadf"], "gaf.fields must name gasf, gadf or both"),
        (("gaf", "scale_g"), -1.0, "gaf.scale_g must lie between 0.001 and 1000 g, got -1.0"),
        (("gaf", "size"), 4, "gaf.size must lie between 8 and 1024 pixels, got 4"),
        (("decision", "temperature"), 0, "decision.temperature must lie between 0.001 and 1000, got 0"),
        (("decision", "unknown_below"), 1.5, "decision.unknown_below must lie between 0 and 1, got 1.5"),
        (("decision", "smoothing"), 0, "decision.smoothing must lie between 0.001 and 1, got 0"),
        (("decision", "min_dwell_windows"), 0, "decision.min_dwell_windows must lie between 1 and 10000, got 0"),
        (("decision", "min_lead"), 1.0, "decision.min_lead must lie between 0 and 0.999, got 1.0"),
        (
            ("decision", "no_signal_after_s"),
            -1.0,
            "decision.no_signal_after_s must lie between 0 and 86400 s, got -1.0",
        ),
        (("decision", "no_signal_after_s"), 0.2, "a pause of up to 0.25 s .* is bridged"),
        (("decision", "still_below_g"), -0.1, "decision.still_below_g must lie between 0 and 100 g, got -0.1"),
        (("sensor", "axes"), ["x", "y"], "sensor.axes must name three axes, each once, got"),
        (("sensor", "axes"), ["x", "y", "z", "w"], "sensor.axes must name three axes, each once, got"),
        (("sensor", "axes"), ["x", "y", "x"], "sensor.axes must name three axes, each once, got"),
        (("sensor", "axes"), ["x", "y", "\x1b[2J"], r"axis or placement '\\x1b\[2J' holds the invisible .* U\+001B"),
        (("sensor", "placement"), "wrist\n", r"invisible character U\+000A"),
        (("trained_on",), "\u202eday", r"the data set's name '\\u202eday' holds the invisible character U\+202E"),
        (
            ("labels",),
            ["sit", "\x1b]0;x\x07"],
            r"the label '\\x1b\]0;x\\x07' holds the invisible character U\+001B",
        ),
        (("labels",), ["sit", "Still"], "the label 'Still' is what vskd calls an event without an activity"),
        (("labels",), ["sit", "no signal"], "the label 'no signal' is what vskd calls an event without an activity"),
        (("labels",), ["Jos\u00e9", "Jose\u0301"], r"is not in Unicode's composed normal form"),
        (("labels",), ["sit", ""], "the label '' is empty"),
        (("labels",), [f"label {index}" for index in range(1001)], "at most 1000 labels, got 1001"),
        (("schema_version",), 2, "has schema version 2, this vskd reads 1"),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_name(path, value, message):
    with pytest.raises(ContractError, match=message):
        Contract.from_mapping(with_value(path, value))


@pytest.mark.parametrize("text", ["", "{", "[1, 2", '{"labels": ', "[" * 100_000, '{"a": ' + "1" * 5000 + "}"])
def test_text_that_is_not_json_is_refused(text):
    with pytest.raises(ContractError, match="contract cannot be read as JSON"):
        Contract.from_json(text)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"sit"'])
def test_json_that_is_no_table_is_refused(text):
    with pytest.raises(ContractError, match="contract must be a table of settings"):
        Contract.from_json(text)


def test_a_contract_of_before_the_newer_rules_reads_as_one_that_has_them_off():
    older = json.loads(CONTRACT.to_json())
    newer = ("min_lead", "no_signal_after_s", "still_below_g")
    for name in newer:
        del older["decision"][name]
    contract = Contract.from_mapping(older)
    assert contract == CONTRACT
    assert [getattr(contract.decision, name) for name in newer] == [0.0, 0.0, 0.0]


def numbers_of(kind: type, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Bounds | None]]:
    """Every number that a record and those within it hold, with its bounds."""
    for name, hint in get_type_hints(kind).items():
        kinds = [one for one in (hint, *get_args(hint)) if dataclasses.is_dataclass(one)]
        for one in kinds:
            yield from numbers_of(one, (*prefix, name))
        if hint in (int, float):
            (found,) = [one for one in dataclasses.fields(kind) if one.name == name]
            yield (*prefix, name), found.metadata.get("bounds")


NUMBERS = dict(numbers_of(Contract))


def test_every_number_of_a_contract_has_bounds():
    unbounded = {".".join(path) for path, bounds in NUMBERS.items() if bounds is None}
    assert unbounded == {"schema_version"}  # one value


@pytest.mark.parametrize("path", [path for path, bounds in NUMBERS.items() if bounds], ids=".".join)
@pytest.mark.parametrize("wrong", ["below", "above", "1e18", "-1e300", "nan"])
def test_no_number_beyond_its_bounds_is_read(path, wrong):
    bounds = NUMBERS[path]
    value = {"below": bounds.low - 1, "above": bounds.high + 1}[wrong] if wrong in ("below", "above") else float(wrong)
    filtered = ResamplingSpec(reorder_s=0.1, low_pass=LowPassSpec(taps=(0.5, 0.2, 0.0), taps_per_period=2))
    limited = dataclasses.replace(
        CONTRACT,
        signal=SignalSpec(),
        recording=RecordingSpec(),
        resampling=filtered,
        examples=ExamplesSpec("means", (ExampleWeights(1.0, 0.0, 0.0),)),
    )
    contract = RAW if path[0] == "raw" else limited
    mapping = to_mapping(contract)
    inner = mapping
    for key in path[:-1]:
        inner = inner[key]
        inner = inner[0] if isinstance(inner, list) else inner
    inner[path[-1]] = int(value) if isinstance(inner[path[-1]], int) and wrong != "nan" else value
    with pytest.raises(ContractError, match=rf"{path[-1]} must (lie between|be)"):
        Contract.from_mapping(mapping)


def test_no_activity_can_be_called_as_a_rule_event():
    assert set(RESERVED_LABELS) == {STILL, UNKNOWN, NO_SIGNAL}


def test_a_long_value_is_not_quoted_whole():
    with pytest.raises(ContractError, match=r"window.mode cannot be 'x{119}\.\.\.") as caught:
        Contract.from_mapping(with_value(("window", "mode"), "x" * 10_000_000))
    assert len(caught.value.message) < 300


def test_a_missing_key_is_named():
    with pytest.raises(ContractError, match="contract lacks the key 'labels'"):
        Contract.from_mapping({})


def test_shapes_follow_from_the_contract():
    contract = Contract(labels=("a", "b"), gaf=GafSpec(fields=("gasf", "gadf"), size=32), window=WindowSpec(samples=96))
    assert contract.window_shape == (3, 96)
    assert contract.image_shape == (6, 32, 32)
    assert contract.window.duration_s == pytest.approx(1.92)


def test_rules_are_checked_in_code_as_in_files():
    with pytest.raises(ConfigError, match=r"decision\.smoothing must lie between"):
        CONTRACT.with_decision(smoothing=1.5)
    with pytest.raises(ConfigError, match=r"resampling\.max_gap_s must lie between"):
        ResamplingSpec(max_gap_s=-1)
    with pytest.raises(ConfigError, match=r"decision\.temperature must lie between"):
        DecisionSpec(temperature=math.nan)


@dataclass(frozen=True)
class Inner:
    rate: float = 0.5


@dataclass(frozen=True)
class Record:
    name: str
    kind: Literal["one", "two"] = "one"
    limit: int | None = None
    inner: Inner = field(default_factory=Inner)
    many: tuple[Inner, ...] = ()
    weights: dict[str, float] = field(default_factory=dict)
    on: bool = False


def test_every_supported_kind_of_field_is_read_and_written():
    record = Record("a", "two", 3, Inner(0.25), (Inner(1.0), Inner(2.0)), {"ce": 1.0}, on=True)
    mapping = to_mapping(record)
    assert json.loads(json.dumps(mapping)) == mapping
    assert from_mapping(Record, mapping, where="record") == record
    assert from_mapping(Record, {"name": "a", "limit": None}, where="record") == Record("a")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"name": 3}, "record.name must be of type str, got 3"),
        ({"name": "a", "kind": "tow"}, "record.kind cannot be 'tow'. Did you mean 'two'"),
        ({"name": "a", "kind": ["one"]}, "record.kind cannot be"),
        ({"name": "a", "limit": "3"}, "record.limit must be of type int, got '3'"),
        ({"name": "a", "inner": 3}, "record.inner must be a table of settings, got 3"),
        ({"name": "a", "inner": {"rte": 1}}, "unknown key 'rte' in record.inner. Did you mean 'rate'"),
        ({"name": "a", "many": {"rate": 1}}, "record.many must be a list"),
        ({"name": "a", "many": [{"rate": "x"}]}, r"record.many\[0\].rate must be of type float"),
        ({"name": "a", "weights": [1.0]}, "record.weights must be a table"),
        ({"name": "a", "weights": {"ce": None}}, "record.weights.ce must be of type float"),
        ({"name": "a", "on": 1}, "record.on must be of type bool, got 1"),
    ],
)
def test_a_record_names_the_place_of_a_mistake(mapping, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Record, mapping, where="record")


def test_an_error_prints_its_hint_after_the_message():
    assert str(VskdError("what happened", hint="the way out")) == "what happened. the way out"
    assert str(VskdError("what happened")) == "what happened"
