"""Golden vectors: windows with the answers of every stage, and the comparison with what this machine gives.

A bundle carries them so that a device can be checked: the images must come out of this encoder, the logits out of
these engines. This module holds the expected answers; the exporter computes them and decides which differences it
accepts.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vskd.bundle import Bundle, ModelEntry
from vskd.bundle_files import GOLDEN_VECTORS
from vskd.contract import Contract, Scaling
from vskd.decide import softmax
from vskd.encoders import encoder_for
from vskd.errors import BundleError
from vskd.untrusted.arrays import read_npz

Float32 = NDArray[np.float32]

#: Largest difference between an image of this machine's encoder and the golden one, by scaling. ``tanh`` is well
#: conditioned everywhere. Near the ends of the other two scales the sine is steep and magnifies the rounding of the
#: averages: up to 2 sqrt(2^-24) under ``range``, and without bound under ``minmax``, whose scale may be as narrow as
#: an axis is quiet.
_IMAGE_TOLERANCE: Mapping[Scaling, float | None] = {"tanh": 2e-6, "range": 5e-4, "minmax": None}

#: The same of a raw network's channels: a hyperbolic tangent, and a mean of at most 1.
_RAW_TOLERANCE = 2e-6

#: An integer model may give another label than it gave at export only where its margin was at most this: the same int8
#: model rounds differently from processor to processor (onnxruntime issue 28609).
FLIP_MARGIN = 0.2

#: Least cosine between an integer model's embedding and the one that it gave at export. Other kernels of the same model
#: round differently, by some thousandths of it, and windows of one activity lie as near as 0.97 to each other.
LEAST_COSINE = 0.98

#: Bytes of the golden vectors: those of an image of 224 pixels are a tenth of it.
LARGEST_GOLDEN_BYTES = 2**29

_ARRAYS = ("names", "windows", "images", "logits", "probabilities", "labels", "margins")
_MODEL_PREFIX, _EMBEDDING_PREFIX, _EMBEDDINGS = "model_logits/", "model_embeddings/", "embeddings"


@dataclass(frozen=True)
class Golden:
    """Windows, with the output of every stage at export.

    Attributes
    ----------
    names : (windows,), what each window is, e.g. ``"real a1_s2_t1"``, ``"adversarial flat"``
    windows : (windows, channels, samples), g
    images : (windows, *contract.encoded_shape), the encoder's output, computed in float64 by a formula of its own
    logits : (windows, classes), of the trained network
    probabilities : (windows, classes), after the contract's temperature
    labels : (windows,), index of the winning class
    margins : (windows,), highest probability less the second highest
    model_logits : model file -> (windows, classes), as its engine gave them at export
    embeddings : (windows, features), of the trained network; None in a bundle whose models give logits alone
    model_embeddings : model file -> (windows, features), as its engine gave them at export
    """

    names: tuple[str, ...]
    windows: Float32
    images: Float32
    logits: Float32
    probabilities: Float32
    labels: NDArray[np.int64]
    margins: Float32
    model_logits: Mapping[str, Float32]
    embeddings: Float32 | None = None
    model_embeddings: Mapping[str, Float32] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)


def gives_the_networks_logits(entry: ModelEntry) -> bool:
    """Whether a model computes the trained network's logits, rather than something that resembles them."""
    return entry.recipe == "fp32"


def encoder_tolerance(contract: Contract) -> float | None:
    """Largest difference between an encoder's output and float64's; None where no limit can be given."""
    return _RAW_TOLERANCE if contract.gaf is None else _IMAGE_TOLERANCE[contract.gaf.scaling]


def margins(probabilities: NDArray[np.floating[Any]]) -> Float32:
    """Highest probability less the second highest: (windows, classes) -> (windows,)."""
    ordered = np.sort(probabilities, axis=-1)
    lead: Float32 = (ordered[:, -1] - ordered[:, -2]).astype(np.float32)
    return lead


def golden_to_bytes(golden: Golden) -> bytes:
    """The content of ``golden/vectors.npz``, compressed; numpy stamps every member 1980."""
    arrays = {name: getattr(golden, name) for name in _ARRAYS if name != "names"}
    arrays["names"] = np.array(golden.names, dtype=np.str_)
    arrays |= {_MODEL_PREFIX + file: logits for file, logits in sorted(golden.model_logits.items())}
    if golden.embeddings is not None:
        arrays[_EMBEDDINGS] = golden.embeddings
    arrays |= {_EMBEDDING_PREFIX + file: given for file, given in sorted(golden.model_embeddings.items())}
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


def read_golden(bundle: Bundle) -> Golden:
    """The golden vectors of a bundle.

    Parameters
    ----------
    bundle : opened; the file's hash is checked first

    Raises
    ------
    BundleError : the file is missing, changed, or holds something else
    """
    content = bundle.read(GOLDEN_VECTORS)
    try:
        arrays = read_npz(io.BytesIO(content), largest_bytes=LARGEST_GOLDEN_BYTES)
        names = tuple(str(name) for name in arrays.pop("names").tolist())
        stages = {name: arrays.pop(name) for name in _ARRAYS if name != "names"}
        embeddings = arrays.pop(_EMBEDDINGS, None)
        of_models = {name: arrays.pop(name) for name in list(arrays) if name.startswith(_EMBEDDING_PREFIX)}
        golden = Golden(
            names, **stages, model_logits=_by_model(arrays, _MODEL_PREFIX, bundle), embeddings=embeddings,
            model_embeddings=_by_model(of_models, _EMBEDDING_PREFIX, bundle),
        )  # fmt: skip
        _check_shapes(golden, bundle.contract, {entry.file: entry.embedding_size for entry in bundle.models})
    except (ValueError, KeyError, TypeError) as error:
        what = f"{bundle.path / GOLDEN_VECTORS} holds no golden vectors: {error}"
        raise BundleError(what, hint="Export the run again") from error
    return golden


def _by_model(arrays: Mapping[str, NDArray[Any]], prefix: str, bundle: Bundle) -> dict[str, Float32]:
    found = {name.removeprefix(prefix): array for name, array in arrays.items()}
    if strange := set(found) - set(bundle.files):
        raise ValueError(f"it holds {sorted(strange)[0][:80]!r}, which is no file of the bundle")
    return found


def _check_shapes(golden: Golden, contract: Contract, features: Mapping[str, int]) -> None:
    """Refuse what this contract's windows and classes, and these models' features, cannot give."""
    count, classes = len(golden), len(contract.labels)
    if not count:
        raise ValueError("there is no window")
    answers = {f"{_MODEL_PREFIX}{file}": logits for file, logits in golden.model_logits.items()}
    of_classes = ("logits", "probabilities", *answers)
    embedded = {f"{_EMBEDDING_PREFIX}{file}": given for file, given in golden.model_embeddings.items()}
    expected = {
        "windows": contract.window_shape, "images": contract.encoded_shape, "labels": (), "margins": (),
        **dict.fromkeys(of_classes, (classes,)),
        **{name: (features.get(name.removeprefix(_EMBEDDING_PREFIX), 0),) for name in embedded},
    }  # fmt: skip
    if golden.embeddings is not None:
        expected[_EMBEDDINGS] = (max(features.values(), default=0),)
    answers |= embedded
    for name, shape in expected.items():
        array, kind = answers[name] if name in answers else getattr(golden, name), "i" if name == "labels" else "f"
        if array.shape != (count, *shape) or array.dtype.kind != kind:
            raise ValueError(f"{name} are {array.dtype} of shape {array.shape}, not {(count, *shape)}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} are not finite")
    if golden.labels.min() < 0 or golden.labels.max() >= classes:
        raise ValueError(f"labels lie outside 0..{classes - 1}")


def compare_images(golden: Golden, contract: Contract) -> tuple[str, str]:
    """Encode the golden windows in numpy and compare with the golden images or channels.

    Returns
    -------
    what was found, and one sentence where it is too far off, else nothing
    """
    images = encoder_for(contract)(golden.windows)
    difference = np.abs(images - golden.images).reshape(len(golden), -1).max(axis=1)
    worst = int(difference.argmax())
    largest, window = float(difference[worst]), golden.names[worst]
    limit = encoder_tolerance(contract)
    found = f"{len(golden)} windows encoded in numpy, at most {largest:.1e} from export's ({window})"
    if limit is None or largest <= limit:
        return found, ""
    return found, f"the encoder's output for window {window!r} differs by {largest:.1e}, above {limit:.0e}"


def compare_logits(golden: Golden, contract: Contract, entry: ModelEntry, logits: Float32) -> tuple[str, str]:
    """Compare the logits (windows, classes) of a model with the golden ones: the trained network's for a float model,
    those recorded at export for an integer model.

    Returns
    -------
    what was found, and one sentence where it is too far off, else nothing
    """
    is_float = gives_the_networks_logits(entry)
    expected = golden.logits if is_float else golden.model_logits.get(entry.file, golden.logits)
    if logits.shape != expected.shape:
        return f"answers of shape {logits.shape}", f"{entry.file} gives {logits.shape[1:]}, not {expected.shape[1:]}"
    difference = np.abs(logits - expected).max(axis=1)
    worst = int(difference.argmax())
    largest, window = float(difference[worst]), golden.names[worst]
    if not np.isfinite(logits).all():
        problem = "some logits are not finite"
    elif is_float:
        problem = _float_problem(window, largest, contract.logit_tolerance)
    else:
        problem = _integer_problem(golden.names, logits, softmax(expected, temperature=contract.decision.temperature))
    flips = int((logits.argmax(axis=1) != golden.labels).sum())
    stored = "the trained network's" if is_float else "those that it gave at export"
    found = f"{len(golden)} windows, logits at most {largest:.1e} from {stored} ({window})"
    return f"{found}; {flips} labels are not the trained network's", problem


def compare_embeddings(golden: Golden, contract: Contract, entry: ModelEntry, embeddings: Float32) -> tuple[str, str]:
    """Compare the embeddings (windows, features) of a model with the golden ones, as ``compare_logits`` does.

    A float model's must be the trained network's, within the tolerance of the logits (of each window's largest feature
    where that exceeds 1); a quantized model's must point where they pointed at export, see ``LEAST_COSINE``.

    Returns
    -------
    what was found, and one sentence where it is too far off, else nothing
    """
    is_float = gives_the_networks_logits(entry)
    expected = golden.embeddings if is_float else golden.model_embeddings.get(entry.file, golden.embeddings)
    if expected is None:
        return "no embedding recorded", f"{entry.file} has an embedding, and the golden vectors have none"
    if embeddings.shape != expected.shape or not np.isfinite(embeddings).all():
        return f"embeddings of shape {embeddings.shape}", f"{entry.file} gives no {expected.shape[1:]} finite features"
    if is_float:
        share = np.abs(embeddings - expected).max(axis=1) / np.maximum(1.0, np.abs(expected).max(axis=1))
        worst = int(share.argmax())
        told = f"largest difference from the trained network {share[worst]:.1e}"
        limit = f"above {contract.logit_tolerance:.0e}"
        is_wrong = bool(share[worst] > contract.logit_tolerance)
    else:
        least, worst = least_cosine(embeddings, expected)
        told, limit = f"least cosine to export's {least:.4f}", f"below {LEAST_COSINE}"
        is_wrong = least < LEAST_COSINE
    problem = f"the embedding of window {golden.names[worst]!r} is another one: {told}, {limit}" if is_wrong else ""
    return f"embeddings, {told} ({golden.names[worst]})", problem


def least_cosine(given: Float32, expected: Float32) -> tuple[float, int]:
    """The least cosine between rows of two (n, features), and its row; of what is expected to be a tenth as long as the
    median or longer, since the direction of a shorter one is a matter of rounding.
    """
    lengths = np.linalg.norm(expected.astype(np.float64), axis=1)
    told = np.where(lengths >= 0.1 * np.median(lengths), cosines(given, expected), 1.0)
    return float(told.min()), int(told.argmin())


def cosines(given: Float32, expected: Float32) -> NDArray[np.float64]:
    """(n,), of the angle between the rows of two (n, features); of two rows of zeros 1, of one 0."""
    one, other = given.astype(np.float64), expected.astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    both_zero = ~(one.any(axis=1) | other.any(axis=1))
    cosine: NDArray[np.float64] = np.where(
        both_zero, 1.0, (one * other).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
    )
    return cosine


def _float_problem(window: str, difference: float, limit: float) -> str:
    return "" if difference <= limit else f"logits of window {window!r} differ by {difference:.1e}, above {limit:.0e}"


def _integer_problem(names: Sequence[str], logits: Float32, expected: NDArray[np.float64]) -> str:
    sureness = margins(expected)
    broken = np.flatnonzero((logits.argmax(axis=1) != expected.argmax(axis=1)) & (sureness > FLIP_MARGIN))
    if broken.size == 0:
        return ""
    first = int(broken[0])
    return (
        f"the label of window {names[first]!r} is not the one recorded at export, though the margin there was "
        f"{sureness[first]:.2f} (a flip is allowed up to {FLIP_MARGIN})"
    )
