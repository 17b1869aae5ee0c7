"""The JSON Schema of ``result.json``, made from its records: ``python -m vskd_benchmarks.result.schema`` writes it."""

from __future__ import annotations

from vskd.schema import schema_text
from vskd_benchmarks.result.folder import SCHEMA, SCHEMA_VERSION
from vskd_benchmarks.result.records.result import Result


def result_schema() -> str:
    """The content of the schema's file."""
    return schema_text(Result, name="bench-result", version=SCHEMA_VERSION)


def main() -> None:
    """Write the file."""
    SCHEMA.write_text(result_schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
