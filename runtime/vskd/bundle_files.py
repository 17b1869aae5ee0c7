"""Names and places of the files in a bundle; everything that writes or reads one takes them from here.

::

    NAME.bundle/
      manifest.json   schema version, models, SHA-256 and size of every other file
      contract.json   what a window is and how a decision is made
      layout.toml     of files like those that it was trained on: unit, axes and layout, where they are not the default
      model.<recipe>.onnx, model.<recipe>.tflite
      model_data.h, model_data.c      the int8 model as a C array, for TensorFlow Lite Micro
      variants/       on request: the model without its encoder, the encoder alone, window -> probabilities
      golden/         windows with the answers of every stage, a stream with the events that it must give
      report.json     how well the exported models agree with the trained one; report.html shows it
      README.md       the model card, with the front matter of the Hugging Face hub
      LICENCE.data.txt    the recordings' licence, where it asks to go along with parts of them
      bom.cdx.json    what the models were made of and with: a CycloneDX bill of materials
      model.sig       on request: the maker's signature of all files above, the only one that no manifest lists
"""

from __future__ import annotations

from collections.abc import Container

MANIFEST, CONTRACT = "manifest.json", "contract.json"

#: Of a run, which becomes a bundle and is often mistaken for one.
RUN_CARD = "run.json"

#: How the files of the recordings look that it was trained on, as a ``dataset.toml`` says it.
LAYOUT = "layout.toml"

#: The signature, under the name that ``model-signing`` gives it.
SIGNATURE = "model.sig"

#: The model card, and the bill of materials.
CARD, BOM = "README.md", "bom.cdx.json"

#: The licence of the recordings, where it asks to go along with parts of them.
DATA_LICENCE = "LICENCE.data.txt"

#: The report, and the same as a page to read.
REPORT, REPORT_PAGE = "report.json", "report.html"

#: Windows with the answers of every stage; events of a stream, whose samples are CSV files beside them.
GOLDEN_VECTORS, GOLDEN_EVENTS = "golden/vectors.npz", "golden/events.json"

#: The int8 model as a C array.
C_HEADER, C_SOURCE = "model_data.h", "model_data.c"

#: The folder of the variants, and their key in the report; the second is what older bundles have.
VARIANTS, FORMER_VARIANTS = "variants", "forms"


def model_file(recipe: str, model_format: str) -> str:
    """Name of the model file of a recipe and format, e.g. ``model.fp32.onnx``."""
    return f"model.{recipe}.{model_format}"


def variant_file(variant: str, recipe: str) -> str:
    """Name of the ``.onnx`` of a variant: ``image``, ``encoder`` or ``probabilities``."""
    return f"{VARIANTS}/{variant}.{recipe}.onnx"


def signatures_file(recipe: str) -> str:
    """Name of the ``.tflite`` that has every variant as a signature."""
    return f"{VARIANTS}/signatures.{recipe}.tflite"


def present(name: str, files: Container[str]) -> str | None:
    """The name under which a bundle with these files holds a variant; None where it does not.

    Parameters
    ----------
    name : what ``variant_file`` or ``signatures_file`` gave
    files : of the bundle
    """
    former = name.replace(VARIANTS, FORMER_VARIANTS, 1)
    return next((found for found in (name, former) if found in files), None)
