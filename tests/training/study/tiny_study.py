"""The study file that tests of studies run: one teacher, three arms, two seeds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

STUDY = """
name = "tiny"
config = "tiny.toml"
seeds = [0, 1]
set = ["data.train_on_validation=true", "student_training.steps=2", "teacher_training.steps=2"]

[[teacher]]
name = "camera"
seeds = [5]

[[arm]]
name = "alone"

[[arm]]
name = "distilled"
teacher = "camera"

[[arm]]
name = "again"
teacher = "alone"
"""

#: The same without a teacher, and with a single arm and seed.
ONE_ARM = STUDY.partition("[[teacher]]")[0].replace("[0, 1]", "[1]") + '[[arm]]\nname = "alone"\n'

#: An ensemble of both, and an arm that it teaches.
ENSEMBLE = """
[[teacher]]
name = "both"
members = ["camera", "alone"]

[[arm]]
name = "last"
teacher = "both"
"""

#: Writes a study file beside the tiny config, and gives its path.
WriteStudy = Callable[[str], Path]
#: Runs a study in a folder; gives the names of the cells that it trained.
RunStudy = Callable[..., list[str]]
