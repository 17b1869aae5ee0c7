"""Every setting of a training: frozen dataclasses, one module for each part of the config file.

``config`` puts the sections together, ``reading`` reads them from TOML. A section is closed: an unknown key is an error
with a suggestion, and a key of an earlier version is refused with what to write instead (``RETIRED``). Importing this
package loads neither torch, PyAV nor scipy.
"""

from vskd_training.settings.augmentation import Augmentation
from vskd_training.settings.config import Config
from vskd_training.settings.data import DataConfig, LabelsConfig
from vskd_training.settings.loss import Aggregate, DistillationConfig, LossWeights
from vskd_training.settings.networks import QuantizationConfig, StudentConfig, TeacherConfig, TrainingConfig
from vskd_training.settings.reading import load_config
from vskd_training.settings.virtual import VirtualConfig

__all__ = [
    "Aggregate",
    "Augmentation",
    "Config",
    "DataConfig",
    "DistillationConfig",
    "LabelsConfig",
    "LossWeights",
    "QuantizationConfig",
    "StudentConfig",
    "TeacherConfig",
    "TrainingConfig",
    "VirtualConfig",
    "load_config",
]
