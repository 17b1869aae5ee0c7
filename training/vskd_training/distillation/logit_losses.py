"""Other ways than soft targets to compare two networks' logits.

With z logits (batch, classes), S student, T teacher, t a temperature, p = softmax(z / t), y the target class::

    decoupled (Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022)
        t^2 mean over rows of  KL( [p_y, 1 - p_y]^T || [p_y, 1 - p_y]^S )  +  8 KL( q^T || q^S )
        q : softmax over the classes but y; soft targets would weigh the second term by 1 - p_y^T, little where the
        teacher is sure. 8 as in most of the paper's experiments
    dist (Huang et al., "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022)
        t^2 ( 1 - mean over rows of rho(p_i^S, p_i^T)  +  1 - mean over classes of rho(p_:k^S, p_:k^T) )
        rho : Pearson's correlation; a teacher's confidence may differ, its order of classes and of clips may not
    standardised (Sun et al., "Logit Standardization in Knowledge Distillation", CVPR 2024)
        z becomes (z - mean(z)) / std(z) of each row, ahead of soft targets or of decoupled, so that the student need
        not match the teacher's scale; std is that of the population

Where a row has no label, or a label for less than half of it (mixup with an unlabelled clip), y is the class that the
teacher predicts. This module knows nothing of weights and of batches.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: A row of logits with less spread than this is flat, and stays at 0.
_FLAT = 1e-7


def standardised(logits: Tensor) -> Tensor:
    """(batch, classes) with mean 0 and standard deviation 1 in each row; a flat row becomes 0."""
    centred = logits - logits.mean(dim=1, keepdim=True)
    # Clamped under the root, whose gradient at 0 is infinite.
    spread = centred.square().mean(dim=1, keepdim=True).clamp_min(_FLAT**2).sqrt()
    return centred / spread


def target_classes(targets: Tensor, teacher_logits: Tensor) -> Tensor:
    """The class y of each row, (batch,).

    Parameters
    ----------
    targets : (batch,) class indices, or (batch, classes) shares of labels, a row of zeros without one
    teacher_logits : (batch, classes)
    """
    if targets.ndim == 1:
        return targets
    return torch.where(targets.sum(dim=1) >= 0.5, targets.argmax(dim=1), teacher_logits.argmax(dim=1))


def decoupled(
    student_logits: Tensor, teacher_logits: Tensor, target: Tensor, *, temperature: float, other: float = 8.0
) -> Tensor:
    """Decoupled distillation, a scalar.

    Parameters
    ----------
    student_logits, teacher_logits : (batch, classes), of equal shape, at least two classes
    target : (batch,), the class that is told apart from the others
    temperature : divides both sides' logits
    other : weight of the divergence over the other classes
    """
    student, teacher = student_logits / temperature, teacher_logits.detach() / temperature
    about_target = _divergence(_hit_or_miss(student, target), _hit_or_miss(teacher, target))
    others = _others(target, student.shape[1])
    about_others = _divergence(
        F.log_softmax(student.gather(1, others), dim=1), F.log_softmax(teacher.gather(1, others), dim=1)
    )
    return (about_target + other * about_others) * temperature**2


def dist(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float) -> Tensor:
    """Correlation within rows and within classes, a scalar; both logits (batch, classes), of equal shape."""
    student = F.softmax(student_logits / temperature, dim=1)
    teacher = F.softmax(teacher_logits.detach() / temperature, dim=1)
    rows = 1 - _correlation(student, teacher).mean()
    classes = 1 - _correlation(student.T, teacher.T).mean()
    return (rows + classes) * temperature**2


def _hit_or_miss(logits: Tensor, target: Tensor) -> Tensor:
    """(batch, 2): logarithms of the target's probability and of all others' together."""
    logs = F.log_softmax(logits, dim=1)
    hit = F.one_hot(target, logits.shape[1]).bool()
    own = logs.gather(1, target.unsqueeze(1)).squeeze(1)
    return torch.stack([own, logs.masked_fill(hit, -torch.inf).logsumexp(dim=1)], dim=1)


def _others(target: Tensor, classes: int) -> Tensor:
    """(batch, classes - 1): the classes that are not the target, ascending."""
    place = torch.arange(classes - 1, device=target.device)
    return place + (place >= target.unsqueeze(1)).long()


def _divergence(student_logs: Tensor, teacher_logs: Tensor) -> Tensor:
    """KL(teacher || student), mean over rows."""
    return F.kl_div(student_logs, teacher_logs, reduction="batchmean", log_target=True)


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    """Pearson's correlation of each row with the other's; 0 where one of them is flat."""
    left = one - one.mean(dim=1, keepdim=True)
    right = other - other.mean(dim=1, keepdim=True)
    sizes = (left.square().sum(dim=1) * right.square().sum(dim=1)).clamp_min(1e-24).sqrt()
    return (left * right).sum(dim=1) / sizes
