"""What the student is taught of the teacher's inside: hints, attention over time, and a contrast between the two views.

With M a network's intermediate map, f its feature, S student, T teacher, B rows of a batch::

    hint (Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015)
        1/2 mean of ( r(M^S) - M^T )^2
        r : a regressor from the student's channels to the teacher's, a linear map at each instant, trained with the
        student. The paper sums where this takes the mean, and trains on hints before it trains on labels; here the hint
        is one term among others
    attention (Zagoruyko & Komodakis, "Paying More Attention to Attention", ICLR 2017)
        mean over rows of | Q^S / |Q^S| - Q^T / |Q^T| |^2,  Q(t) = sum over channels of the square of M at instant t
    contrastive (Tian et al., "Contrastive Representation Distillation", ICLR 2020, with the symmetric in-batch form of
        Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021)
        with p = g(f) / |g(f)|, g one linear map per side, trained with the student, and s_ij = <p_i^S, p_j^T> / t
        1/2 mean over i of  -log( e^s_ii / sum over j of e^s_ij )  +  the same of the transposed s
        j : i itself and every row that shares no recording with it

**Only time is common.** The student's map is that of a Gramian field: its rows are time and so are its columns, (batch,
channels, instants, instants). The teacher's has time as steps or segments, (batch, channels, instants). So what is
compared is compared over time. At an instant the student's map is the mean of its row and the mean of its column: as
channels side by side for the hint, and as the mean of their squares for attention. The longer of two maps is averaged
down to the instants of the shorter one. Attention over the place in a picture or on the body, of which the paper
speaks first, has no counterpart in a wrist's signal, and attention is compared at one depth of the networks only.

**Mixed rows** (mixup) have the teacher's map and feature mixed in the same shares as the signals, so all three terms
hold them as they hold others. In the contrast a mixed row belongs to both its recordings, however small a share is.
Two windows of one recording are no negatives of each other, and no positives either. Rows without a label take part.

The regressor and the maps g are no part of the student that ships. This module knows nothing of how batches are made.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vskd.errors import ConfigError, DataError
from vskd_training.models.student import FEATURE_SIZE, Student, View

#: Width of p; the paper's.
PROJECTION_SIZE = 128


def hint(regressed: Tensor, teacher: Tensor) -> Tensor:
    """The hint, a scalar; both maps over time (batch, channels, instants), of equal batch and channels."""
    if regressed.shape[:2] != teacher.shape[:2]:
        raise DataError(f"the student's hint is {tuple(regressed.shape)}, the teacher's {tuple(teacher.shape)}")
    ours, theirs = _at_common_instants(regressed, teacher.detach())
    return (ours - theirs).square().mean() / 2


def attention(student: Tensor, teacher: Tensor) -> Tensor:
    """Attention over time, a scalar in [0, 2]; maps of the same batch, each with one or two axes of time.

    Unchanged by a factor on either map. Where a map is 0 everywhere, so is its attention.
    """
    if len(student) != len(teacher):
        raise DataError(f"the student's batch has {len(student)} maps, the teacher's {len(teacher)}")
    ours, theirs = _at_common_instants(_energy(student), _energy(teacher.detach()))
    return (F.normalize(ours, dim=2) - F.normalize(theirs, dim=2)).square().sum(dim=2).mean()


def contrastive(student: Tensor, teacher: Tensor, related: Tensor, *, temperature: float) -> Tensor:
    """The contrast between the two views, a scalar.

    Parameters
    ----------
    student, teacher : (batch, width), g(f) of each side, the same recordings in the same order
    related : (batch, batch), bool, symmetric: which rows share a recording, and so are no negatives, see ``share``
    temperature : t, above 0
    """
    if student.shape != teacher.shape:
        raise DataError(f"the student's projections are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}")
    similar = F.normalize(student, dim=1) @ F.normalize(teacher, dim=1).T / temperature
    own = torch.arange(len(similar), device=similar.device)
    left_out = related & (own.unsqueeze(0) != own.unsqueeze(1))
    similar = similar.masked_fill(left_out, -torch.inf)
    return (F.cross_entropy(similar, own) + F.cross_entropy(similar.T, own)) / 2


def share(recordings: Tensor) -> Tensor:
    """(batch, batch), whether two rows share a recording; recordings (batch, parts), the parts of each mixed row."""
    pairs = recordings.unsqueeze(1).unsqueeze(3) == recordings.unsqueeze(0).unsqueeze(2)
    return pairs.flatten(2).any(dim=2)


def over_time(middle: Tensor) -> Tensor:
    """(batch, channels, instants) of a map; of a Gramian field's (batch, channels, instants, instants) its rows' and
    its columns' means, with twice the channels.
    """
    return middle if middle.ndim == 3 else torch.cat([middle.mean(dim=3), middle.mean(dim=2)], dim=1)


class FeatureHeads(nn.Module):
    """What the hint and the contrast train beside the student, and what is gone when it is finished.

    Parameters
    ----------
    student : whose map and feature are compared
    teacher : what is heard of any batch, for its widths
    for_hint, for_contrast : which are wanted

    Raises
    ------
    ConfigError : a hint is wanted of a teacher without a map, or a contrast with one without a feature
    """

    def __init__(self, student: Student, teacher: View, *, for_hint: bool, for_contrast: bool) -> None:
        super().__init__()
        if for_hint:
            if teacher.middle is None:
                raise ConfigError("loss.hint needs the teacher's map, and it gives none")
            self.regressor = nn.Conv1d(2 * student.middle_channels, over_time(teacher.middle).shape[1], kernel_size=1)
        if for_contrast:
            width = teacher.feature.shape[1]
            if not width:
                raise ConfigError("loss.contrastive needs the teacher's feature, and it gives none")
            self.of_student = nn.Linear(FEATURE_SIZE, PROJECTION_SIZE)
            self.of_teacher = nn.Linear(width, PROJECTION_SIZE)

    def hint(self, student: Tensor, teacher: Tensor) -> Tensor:
        """``hint`` of two maps; the student's is of a Gramian field."""
        return hint(cast(Tensor, self.regressor(over_time(student))), over_time(teacher))

    def contrast(self, student: Tensor, teacher: Tensor, recordings: Tensor, *, temperature: float) -> Tensor:
        """``contrastive`` of two features; recordings as in ``share``."""
        ours, theirs = self.of_student(student), self.of_teacher(teacher.detach())
        return contrastive(ours, theirs, share(recordings), temperature=temperature)


class InTraining(nn.Module):
    """A student with its heads, as the training loop takes it: both are trained and kept for resuming.

    The loop clips the norm of both their gradients together.

    Parameters
    ----------
    student : what is left when training is finished
    heads : see ``FeatureHeads``
    middle : whether a loss asks for the student's map
    """

    def __init__(self, student: Student, heads: FeatureHeads, *, middle: bool) -> None:
        super().__init__()
        self.student = student
        self.heads = heads
        self.middle = middle

    def forward(self, windows: Tensor) -> View:
        return self.student.with_middle(windows) if self.middle else cast(View, self.student(windows))


def _energy(middle: Tensor) -> Tensor:
    """(batch, 1, instants): Q; of a Gramian field's map the mean of row and column."""
    energy = middle.square().sum(dim=1, keepdim=True)
    return energy if energy.ndim == 3 else (energy.mean(dim=3) + energy.mean(dim=2)) / 2


def _at_common_instants(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Both (batch, channels, instants) at the instants of the shorter one."""
    instants = min(one.shape[2], other.shape[2])
    return F.adaptive_avg_pool1d(one, instants), F.adaptive_avg_pool1d(other, instants)
