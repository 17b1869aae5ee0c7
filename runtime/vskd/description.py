"""What a bundle holds, as sentences for a reader and as one mapping for programs.

What is inside a model file was written down when the bundle was made, because a device has nothing that reads model
files: operators in the manifest, ports, quantization and cost in ``report.json``. This module runs no model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vskd.bundle import Bundle, ModelEntry
from vskd.closed import to_mapping
from vskd.contract import Contract
from vskd.report import read_report


def describe(bundle: Bundle) -> dict[str, Any]:
    """Everything that ``vskd inspect`` shows, as plain values ready for JSON.

    Parameters
    ----------
    bundle : opened

    Raises
    ------
    BundleError : the report was changed
    """
    report = read_report(bundle)
    return {
        "bundle": bundle.path.name,
        "sha256": bundle.sha256(),
        "signed": bundle.is_signed,
        "degraded": list(bundle.degraded),
        "contract": to_mapping(bundle.contract),
        "models": [_model(bundle, entry, report.graphs.get(entry.file, {})) for entry in bundle.models],
        "variants": report.variants,
        "files": {name: to_mapping(entry) for name, entry in bundle.files.items()},
    }


def contract_in_words(contract: Contract) -> list[tuple[str, str]]:
    """The contract as (subject, sentence), in the order from the sensor to the decision."""
    sensor, decision = contract.sensor, contract.decision
    at_rest = "+1 g upwards" if sensor.gravity == "included" else "0 g"
    return [
        ("sensor", f"accelerometer on the {sensor.placement}; axes {', '.join(sensor.axes)} of the device's screen"),
        (
            "input",
            f"{sensor.unit}, gravity {sensor.gravity} (at rest {at_rest}), trained within +-{sensor.range_g:g} g",
        ),
        ("window", _window_in_words(contract)),
        ("resampling", _resampling_in_words(contract)),
        _encoder_in_words(contract),
        *_signal_in_words(contract),
        ("decision", f"softmax(logits / {decision.temperature:.4g}){_rules_in_words(contract)}"),
        ("examples", _examples_in_words(contract)),
        ("labels", f"{len(contract.labels)}: {', '.join(contract.labels)}"),
        ("trained on", contract.trained_on or "unknown"),
    ]


def _signal_in_words(contract: Contract) -> Iterator[tuple[str, str]]:
    """What keeps a window from an activity, and what is only named."""
    signal, limits = contract.signal, contract.recording
    if signal is None:
        yield "no activity", "only where a decision rule says so: the contract has no limits of the signal"
        return
    rules = [
        f"no axis changes for {signal.frozen_share:.0%} of a window" if signal.frozen_share < 1 else "",
        f"zeros for {signal.zero_share:.0%}",
        "two equal axes",
        f"{signal.saturated_share:.0%} saturated or cut off" if signal.saturated_share < 1 else "",
        f"a sensor below {signal.min_rate_hz:g} Hz" if signal.min_rate_hz > 0 else "",
        f"gravity, where it is {contract.sensor.gravity}, of another length",
        f"a mean reading above {signal.largest_mean_g:.3g} g" if signal.largest_mean_g > 0 else "",
        f"a root mean square above {signal.largest_rms_g:.3g} g" if signal.largest_rms_g > 0 else "",
    ]
    yield "no activity", "; ".join(rule for rule in rules if rule)
    if limits is not None:
        yield (
            "recordings",
            f"no activity outside {limits.shortest_s:.3g} to {limits.longest_s:.3g} s, below "
            f"{limits.lowest_rate_hz:.3g} Hz, or with a gap above {limits.largest_gap_s:.3g} s",
        )
    if signal.gravity_direction:
        x, y, z = signal.gravity_direction
        yield (
            "gravity",
            f"in training towards ({x:+.2f}, {y:+.2f}, {z:+.2f}); more than {signal.gravity_within_deg:.0f} degrees "
            "away it is named",
        )


def _resampling_in_words(contract: Contract) -> str:
    if contract.window.mode == "whole":
        return "linear, over the recording's whole length"
    spec, rate_hz = contract.resampling, contract.window.rate_hz
    words = f"linear; a pause above {spec.max_gap_s:g} s empties the window"
    if spec.low_pass:
        words += (
            f"; from {spec.low_pass.above * rate_hz:g} Hz on through a low-pass filter "
            f"({spec.low_pass.half_periods / rate_hz:g} s of delay)"
        )
    if spec.reorder_s:
        words += f"; samples that come up to {spec.reorder_s:g} s late are sorted in"
    return words


def _encoder_in_words(contract: Contract) -> tuple[str, str]:
    shape = " x ".join(map(str, contract.encoded_shape))
    if contract.raw is not None:
        soft = f"tanh(reading / {contract.raw.scale_g:g} g)"
        words = {
            "g": f"the reading, held within +-{contract.raw.clip_g:g} g",
            "tanh": soft,
            "centred": f"{soft} less its mean",
        }
        return "channels", f"{shape}, inside the model; " + ", ".join(words[name] for name in contract.raw.transforms)
    gaf = contract.image_spec
    scaling = {
        "minmax": "each axis scaled to its own lowest and highest value",
        "range": f"a fixed range of +-{gaf.scale_g:g} g, beyond which readings saturate",
        "tanh": f"tanh(reading / {gaf.scale_g:g} g)",
    }[gaf.scaling]
    return "image", f"{' + '.join(gaf.fields)}, {shape}, inside the model; {scaling}"


def _window_in_words(contract: Contract) -> str:
    window = contract.window
    if window.mode == "whole":
        return f"a whole recording, stretched to {window.samples} samples"
    hop_s = window.hop_samples / window.rate_hz
    return (
        f"{window.samples} samples at {window.rate_hz:g} Hz ({window.duration_s:g} s), "
        f"one every {window.hop_samples} ({hop_s:g} s)"
    )


def _rules_in_words(contract: Contract) -> str:
    decision = contract.decision
    rules = [
        f"the newest window weighs {decision.smoothing:g} in a running average" if decision.smoothing < 1 else "",
        f"a new label must lead by {decision.min_lead:g}" if decision.min_lead > 0 else "",
        f"a new label after {decision.min_dwell_windows} windows" if decision.min_dwell_windows > 1 else "",
        f"unknown below {decision.unknown_below:g}" if decision.unknown_below > 0 else "",
        f"unknown below a cosine of {decision.unknown_below_cosine:g} to the nearest example"
        if decision.unknown_below_cosine > 0
        else "",
        f"still below {decision.still_below_g:g} g of movement" if decision.still_below_g > 0 else "",
        f"no signal after {decision.no_signal_after_s:g} s" if decision.no_signal_after_s > 0 else "",
    ]
    return "".join(f"; {rule}" for rule in rules if rule)


def _examples_in_words(contract: Contract) -> str:
    spec = contract.examples
    if spec is None:
        return "a wearer's own cannot be used: how much they count was not fitted"
    score = {
        "nearest": "the cosine to the nearest one",
        "means": "the cosine to the mean of an activity's",
        "ridge": "a ridge regression on them",
    }[spec.score]
    beside = f" of embedding and ({spec.spectrum:.0%}) spectrum" if spec.spectrum > 0 else ""
    return f"a wearer's own decide along by {score}{beside}, weighed for 1 to {len(spec.weights)} of an activity"


def _model(bundle: Bundle, entry: ModelEntry, graph: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **to_mapping(entry),
        **to_mapping(bundle.files[entry.file]),
        "contract_problem": bundle.model_problem(entry),
        **(to_mapping(bundle.graphs[entry.file]) if entry.file in bundle.graphs else {}),
        **graph,
    }
