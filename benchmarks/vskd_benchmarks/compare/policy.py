"""What a comparison calls a regression: a closed TOML file of limits. A limit that is not named is none.

The committed one, ``policy.toml`` beside this module, holds where a user names no other. Knows nothing of results.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vskd.closed import from_mapping
from vskd.errors import ConfigError
from vskd.untrusted.documents import read_toml

DEFAULT_POLICY = Path(__file__).with_name("policy.toml")


@dataclass(frozen=True)
class LatencyLimits:
    """Largest ratio of each percentile, candidate over baseline."""

    p50_max_ratio: float | None = None
    p90_max_ratio: float | None = None
    p99_max_ratio: float | None = None


@dataclass(frozen=True)
class MemoryLimits:
    """Largest ratio of peak resident memory."""

    peak_max_ratio: float | None = None


@dataclass(frozen=True)
class SizeLimits:
    """Largest ratio of the size of the model's file."""

    file_max_ratio: float | None = None


@dataclass(frozen=True)
class AccuracyLimits:
    """Largest loss of held-out accuracy and of macro-F1, a share: 0.01 is one point."""

    max_loss: float | None = None


@dataclass(frozen=True)
class Policy:
    """All limits."""

    latency: LatencyLimits = LatencyLimits()
    memory: MemoryLimits = MemoryLimits()
    size: SizeLimits = SizeLimits()
    accuracy: AccuracyLimits = AccuracyLimits()

    def __post_init__(self) -> None:
        loss = self.accuracy.max_loss
        if loss is not None and not 0 <= loss <= 1:
            raise ConfigError(f"accuracy.max_loss is a share from 0 to 1, got {loss:g}")
        for table in ("latency", "memory", "size"):
            for name, value in vars(getattr(self, table)).items():
                if value is not None and value <= 0:
                    raise ConfigError(f"{table}.{name} is a ratio above 0, got {value:g}")


def read_policy(path: Path = DEFAULT_POLICY) -> Policy:
    """A policy from its file.

    Raises
    ------
    ConfigError : no such file, no TOML, an unknown key, or a limit that cannot be one
    """
    try:
        mapping = read_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = "Leave --policy out for the committed one"
        raise ConfigError(f"cannot read the policy {path}: {error.strerror}", hint=hint) from error
    except ValueError as error:
        raise ConfigError(f"{path} is no TOML: {error}", hint=f"See {DEFAULT_POLICY}") from error
    return from_mapping(Policy, mapping, where=str(path))
