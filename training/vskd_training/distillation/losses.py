"""The student's loss: cross entropy with the labels, the teacher's soft targets, DASK, and a contrast by the labels.

DASK is VSKD's "distance and angle-wise semantic knowledge" (Ni et al., ICASSP 2022). The paper's own equation could
not be read; the terms follow its name, its figure and its code, and distance and angle are those of RKD (Park et al.,
CVPR 2019). L_C is the outer loss of supervised contrastive learning (Khosla et al., NeurIPS 2020) on the feature
itself, by whose cosine a wearer's examples are compared, and for labels that are mixed. With z logits (batch, classes),
f features (batch, features), y labels (batch, classes), S student, T teacher, i, j, k rows::

    L_CE = cross entropy(z_S, label); 0 for a row without a label, which counts in the mean all the same
    L_KD = t^2 KL( softmax(z_T / t) || softmax(z_S / t) ), mean over the batch
    d_ij = |f_i - f_j|, 0 on the diagonal; off it the squared distance is never below 1e-12
    L_D  = mean over i, j of smoothL1( d^S_ij / mean(d^S > 0) - d^T_ij / mean(d^T > 0) )
    e_ij = (f_j - f_i) / |f_j - f_i|, 0 where the two coincide
    L_A  = mean over i, j, k of smoothL1( <e^S_ij, e^S_ik> - <e^T_ij, e^T_ik> )
    L_S  = mean squared error( f_S, f_T )
    L_C  = mean over i of  - sum over j of w_ij log( e^s_ij / sum over k of e^s_ik ) / max(1, sum over j of w_ij)
    s_ij = cos( f_i, f_j ) / 0.1,  w_ij = <y_i, y_j>; j and k: the other rows that have a label
    L    = ce L_CE + kd L_KD + distance L_D + angle L_A + semantic L_S
           + decoupled and dist times the two losses of ``logit_losses`` + supervised L_C

smoothL1(x) is x^2 / 2 up to |x| = 1 and |x| - 1/2 beyond. The student's feature comes after a ReLU and the teacher's
is signed, so L_S seldom reaches 0.

Every term is computed in float32 at least, also under autocast, and the teacher gets no gradient. This module knows
nothing of networks or of how batches are made: the two outputs of a batch are of the same windows because
``loop.tasks`` takes them by the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from vskd.errors import ConfigError, DataError
from vskd_training.distillation.logit_losses import decoupled, dist, standardised, target_classes
from vskd_training.models.output import ModelOutput
from vskd_training.settings.loss import TEACHER_TERMS, LossWeights

#: Relations between rows need two of them.
_FEWEST_TAUGHT = 2
#: Squared distances below this are two features that coincide.
_COINCIDE = 1e-12
#: Divides the cosines of L_C; the paper's.
_CONTRAST_TEMPERATURE = 0.1
#: In place of such a cosine, which is at most 10, it leaves nothing of a row in float64 either.
_LEFT_OUT = -1e4
#: Features shorter than this have no direction.
_SHORTEST = 1e-6


def soft_targets(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float) -> Tensor:
    """L_KD (Hinton et al., 2015), a scalar; both logits (batch, classes), of equal shape."""
    _check_equal_shapes("logits", student_logits, teacher_logits)
    student = F.log_softmax(student_logits / temperature, dim=1)
    teacher = F.log_softmax(teacher_logits.detach() / temperature, dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def distance(student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
    """L_D, a scalar; features (batch, any width), the same batch on both sides.

    Unchanged by a factor on either side's features. 0 for a batch of one. Where all features of a side coincide, all
    its relative distances are 1.
    """
    _check_equal_batches(student_feature, teacher_feature)
    student = _relative_distances(student_feature)
    return F.smooth_l1_loss(student, _relative_distances(teacher_feature.detach()))


def angle(student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
    """L_A, a scalar; features (batch, any width), the same batch on both sides.

    Unchanged by a factor and by a shift of either side's features. 0 for a batch of one. Costs batch^2 features of
    memory and batch^3 values.
    """
    _check_equal_batches(student_feature, teacher_feature)
    return F.smooth_l1_loss(_angles(student_feature), _angles(teacher_feature.detach()))


def semantic(student_feature: Tensor, teacher_feature: Tensor) -> Tensor:
    """L_S, a scalar; both features (batch, features), of equal shape."""
    _check_equal_shapes("features", student_feature, teacher_feature)
    return F.mse_loss(student_feature, teacher_feature.detach())


def supervised_contrast(feature: Tensor, labels: Tensor) -> Tensor:
    """L_C, a scalar; features (batch, features), labels (batch, classes).

    Unchanged by a factor on a row's feature. A row adds nothing if no other shares a class with it, and counts in the
    mean all the same.
    """
    direction = F.normalize(feature, dim=1, eps=_SHORTEST)
    labelled = labels.sum(dim=1) > 0
    others = torch.eye(len(labels), dtype=torch.bool, device=labels.device).logical_not() & labelled
    similar = (direction @ direction.T / _CONTRAST_TEMPERATURE).masked_fill(~others, _LEFT_OUT)
    share = (labels @ labels.T).to(similar.dtype).masked_fill(~others, 0.0)
    each = (share * F.log_softmax(similar, dim=1)).sum(dim=1) / share.sum(dim=1).clamp(min=1)
    return -each.mean()


def distillation_loss(
    student: ModelOutput,
    teacher: ModelOutput | None,
    labels: Tensor,
    weights: LossWeights,
    *,
    taught: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of the terms.

    Parameters
    ----------
    student : its output for a batch
    teacher : the output for the same windows in the same order; None where no weight needs it
    labels : (batch,) int64 class indices, or (batch, classes) probabilities (mixup); a row that sums to less than 1
        is unlabelled by as much
    weights : the weight of each term
    taught : (batch,), whether a row has a teacher; None: all have. The teacher's terms are of those rows alone, and
        weigh as much less as there are fewer of them

    Returns
    -------
    loss : a scalar
    terms : the terms that were computed, by the names of their weights; unweighted and detached, for a log

    Raises
    ------
    DataError : shapes do not fit
    ConfigError : a weight needs a teacher and there is none
    """
    if teacher is None and weights.needs_teacher:
        raise ConfigError(
            "the loss weighs the teacher's outputs, but there is no teacher",
            hint=f"Name a teacher, or set loss.{', '.join(TEACHER_TERMS)} to 0",
        )
    # Angles in bfloat16 would be right to two digits only.
    with torch.autocast(student.logits.device.type, enabled=False):
        terms = {name: term() for name, term in _terms(_full(student), teacher, labels, weights, taught).items()}
        loss = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
    return loss, {name: term.detach() for name, term in terms.items()}


def _terms(
    student: ModelOutput, teacher: ModelOutput | None, labels: Tensor, weights: LossWeights, taught: Tensor | None
) -> dict[str, Callable[[], Tensor]]:
    """The terms whose weight is above 0, not computed yet."""
    every: dict[str, Callable[[], Tensor]] = {
        "ce": lambda: _cross_entropy(student.logits, labels, smoothing=weights.label_smoothing),
        "supervised": lambda: supervised_contrast(student.feature, _shares(labels, student.logits)),
    }
    if teacher is not None:
        every |= _teacher_terms(student, _full(teacher), labels, weights, taught)
    return {name: term for name, term in every.items() if getattr(weights, name) > 0}


def _teacher_terms(
    student: ModelOutput, teacher: ModelOutput, labels: Tensor, weights: LossWeights, taught: Tensor | None
) -> dict[str, Callable[[], Tensor]]:
    """The terms that compare with a teacher, over the rows that have one."""
    if taught is not None:
        rows = taught.nonzero().squeeze(1)
        student, teacher, labels = student.rows(rows), teacher.rows(rows), labels.index_select(0, rows)
    every = {
        **_logit_terms(student.logits, teacher.logits, labels, weights),
        "distance": lambda: distance(student.feature, teacher.feature),
        "angle": lambda: angle(student.feature, teacher.feature),
        "semantic": lambda: semantic(student.feature, teacher.feature),
    }
    if taught is None:
        return every
    share = len(rows) / len(taught)
    if len(rows) < _FEWEST_TAUGHT:
        nothing = student.logits.sum() * 0
        return dict.fromkeys(every, lambda: nothing)
    return {name: partial(_weighed, term, share) for name, term in every.items()}


def _weighed(term: Callable[[], Tensor], share: float) -> Tensor:
    return term() * share


def _logit_terms(
    student: Tensor, teacher: Tensor, labels: Tensor, weights: LossWeights
) -> dict[str, Callable[[], Tensor]]:
    _check_equal_shapes("logits", student, teacher)
    temperature = weights.temperature
    ours, theirs = (standardised(student), standardised(teacher)) if weights.standardised else (student, teacher)
    about = target_classes(labels, teacher)
    return {
        "kd": lambda: soft_targets(ours, theirs, temperature=temperature),
        "decoupled": lambda: decoupled(ours, theirs, about, temperature=temperature),
        "dist": lambda: dist(student, teacher, temperature=temperature),
    }


def _shares(labels: Tensor, logits: Tensor) -> Tensor:
    """(batch, classes) of labels in either form."""
    return labels if labels.ndim > 1 else F.one_hot(labels, logits.shape[1]).to(logits.dtype)


def _cross_entropy(logits: Tensor, targets: Tensor, *, smoothing: float) -> Tensor:
    """Smoothing spreads what a row has, so that a row of zeros stays one; torch would make a uniform target of it."""
    if targets.ndim == 1:
        return F.cross_entropy(logits, targets, label_smoothing=smoothing)
    spread = smoothing * targets.sum(dim=1, keepdim=True) / targets.shape[1]
    return F.cross_entropy(logits, (1 - smoothing) * targets + spread)


def _relative_distances(feature: Tensor) -> Tensor:
    """(batch, batch): distances in units of their mean; the diagonal is 0."""
    batch = len(feature)
    squared = (feature.unsqueeze(0) - feature.unsqueeze(1)).square().sum(dim=2)
    apart = torch.eye(batch, dtype=torch.bool, device=feature.device).logical_not()
    # The square root has no gradient at 0. Clamped, features that coincide pull at nothing.
    distances = torch.where(apart, squared.clamp(min=_COINCIDE).sqrt(), 0.0)
    if batch == 1:
        return distances
    return distances / (distances.sum() / (batch * (batch - 1)))


def _angles(feature: Tensor) -> Tensor:
    """(batch, batch, batch): the cosine at row i of the corner j, i, k; 0 where j or k coincides with i."""
    difference = feature.unsqueeze(0) - feature.unsqueeze(1)
    squared = difference.square().sum(dim=2, keepdim=True)
    coincide = squared <= _COINCIDE
    # Both branches of where are differentiated, so the root must be harmless in the one that is dropped as well.
    inverse = torch.where(coincide, 0.0, torch.where(coincide, 1.0, squared).rsqrt())
    direction = difference * inverse
    return direction @ direction.transpose(1, 2)


def _full(output: ModelOutput) -> ModelOutput:
    """The output in float32, or as it is where it is finer."""

    def full(value: Tensor) -> Tensor:
        return value.to(torch.promote_types(value.dtype, torch.float32))

    return ModelOutput(full(output.logits), full(output.feature))


def _check_equal_shapes(what: str, student: Tensor, teacher: Tensor) -> None:
    if student.shape != teacher.shape:
        raise DataError(f"the student's {what} are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}")


def _check_equal_batches(student: Tensor, teacher: Tensor) -> None:
    if len(student) != len(teacher):
        raise DataError(f"the student's batch has {len(student)} features, the teacher's {len(teacher)}")
