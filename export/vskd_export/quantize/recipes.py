"""Recipes: the numeric forms that a student ships in, and the model files of a bundle.

A name says all: ``w8`` int8 weights, ``a8`` or ``a16`` integer activations, ``s`` signed ones where the plain form is
unsigned, ``static`` ranges from calibration, ``pc`` one scale per output channel. ``fp16`` keeps weights in half
precision and computes in float32. The encoder stays in float in every form. This module loads no converter
and no torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from vskd.bundle import ModelEntry
from vskd.bundle_files import model_file
from vskd.errors import ConfigError, did_you_mean
from vskd.manifest import RECIPE_ALIASES
from vskd.model_contract import ModelFormat

FLOAT_RECIPE = "fp32"
INTEGER_RECIPE = "w8a8-static-pc"

FORMATS: tuple[ModelFormat, ...] = get_args(ModelFormat)


@dataclass(frozen=True)
class Recipe:
    """A numeric form.

    Attributes
    ----------
    weight_bits : of a weight in the file
    calibrated : whether the calibration windows decide anything in it
    meaning : one line for people
    refused : format -> why this form is not offered there
    """

    weight_bits: int
    calibrated: bool
    meaning: str
    refused: Mapping[ModelFormat, str] = field(default_factory=dict)


RECIPES: Mapping[str, Recipe] = {
    FLOAT_RECIPE: Recipe(32, False, "the trained network; always part of a bundle, the others are judged by it"),
    "fp16": Recipe(16, False, "weights of half the size, computed in float32"),
    INTEGER_RECIPE: Recipe(8, True, "int8: weights of a quarter of the size, integer arithmetic"),
    "w8a8s-static-pc": Recipe(
        8,
        True,
        "int8 with signed activations, for ONNX Runtime on ARM (slower than unsigned on x86)",
        {"tflite": "TFLite's int8 activations are signed already; use int8.tflite"},
    ),
    "w8a16-static-pc": Recipe(
        8,
        True,
        "16-bit activations, for processors with 16-bit kernels; LiteRT has only slow reference ones",
        {
            "onnx": "ONNX Runtime has no 16-bit integer convolution: it widens every tensor to float32 in every run, "
            "slower than fp32 and no nearer to it than w8-pc"
        },
    ),
    "w8-pc": Recipe(8, False, "int8 weights, a quarter of their size, computed in float32"),
}


def entry(model_format: ModelFormat, recipe: str) -> ModelEntry:
    """The model of this format and recipe, e.g. ``model.fp32.onnx``."""
    return ModelEntry(model_file(recipe, model_format), model_format, recipe)


def format_of(file: str) -> ModelFormat:
    """The format of a model file, by its ending."""
    return "onnx" if file.endswith(".onnx") else "tflite"


def parse_recipes(names: Sequence[str]) -> tuple[ModelEntry, ...]:
    """The models that a user wants, by name.

    Parameters
    ----------
    names : a recipe for every format, ``"fp16"`` or ``"int8"``, or for one, ``"w8a8s-static-pc.onnx"``; none takes the
        default, int8

    Returns
    -------
    the float models, then the others; format by format, without repetition

    Raises
    ------
    ConfigError : no such recipe, or one that a format does not support, with the reason
    """
    wanted = {FLOAT_RECIPE: set(FORMATS)}
    for name in names or (INTEGER_RECIPE,):
        recipe, formats = _parse(name)
        wanted.setdefault(recipe, set()).update(formats)
    return tuple(entry(kind, recipe) for kind in FORMATS for recipe in RECIPES if kind in wanted.get(recipe, ()))


def _parse(name: str) -> tuple[str, tuple[ModelFormat, ...]]:
    stem, dot, ending = name.rpartition(".")
    word, formats = (stem, (ending,)) if dot and ending in FORMATS else (name, FORMATS)
    recipe = RECIPE_ALIASES.get(word, word)
    if recipe not in RECIPES:
        raise ConfigError(f"there is no recipe {recipe!r}", hint=did_you_mean(recipe, (*RECIPE_ALIASES, *RECIPES)))
    for kind in formats:
        if kind in RECIPES[recipe].refused:
            able = [f"{recipe}.{other}" for other in FORMATS if other not in RECIPES[recipe].refused]
            raise ConfigError(
                f"{recipe} is not offered as {kind}: {RECIPES[recipe].refused[kind]}",
                hint="Offered: " + ", ".join(able),
            )
    return recipe, formats


#: What a bundle holds unless the user says otherwise.
MODELS = parse_recipes(())


def describe_recipes(models: Sequence[ModelEntry]) -> dict[str, dict[str, Any]]:
    """File -> its recipe, in words, and whether the calibration windows decided anything in it. For the report."""
    return {
        model.file: {
            "recipe": model.recipe,
            "meaning": RECIPES[model.recipe].meaning,
            "calibrated": RECIPES[model.recipe].calibrated,
        }
        for model in models
    }
