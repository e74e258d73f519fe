"""How good a frozen encoder or a classifier is: pure functions over tensors.

:func:`extract` turns images into features; everything else takes features (N, D), or for a
classifier logits or probabilities (N, C), and returns plain numbers.

========================  =======================================================================
:func:`linear_probe`      accuracy of a linear classifier on the features
:func:`knn`               accuracy of the features' own neighbourhoods
contrastive_statistics    how well, and how surely, positives are told from negatives
:func:`alignment`         how close positive pairs lie
:func:`uniformity`        how evenly the features fill the sphere
:func:`tolerance`         how close samples of a class lie
calibration_error         how far confidence is from accuracy
:func:`overconfidence`    the same with its sign, over all samples
negative_log_likelihood   what the true class was given, in nats
:func:`fit_temperature`   what logits are divided by to be calibrated
========================  =======================================================================

The baseline that any representation has to beat is raw pixels: ``images.flatten(1) / 255`` are
features like any others.
"""

from lelkern.evaluate.calibration import (
    calibration_error,
    fit_temperature,
    negative_log_likelihood,
    overconfidence,
)
from lelkern.evaluate.contrastive import ContrastiveStatistics, contrastive_statistics
from lelkern.evaluate.features import extract
from lelkern.evaluate.geometry import alignment, tolerance, uniformity
from lelkern.evaluate.knn import knn
from lelkern.evaluate.linear_probe import linear_probe

__all__ = [
    "ContrastiveStatistics",
    "alignment",
    "calibration_error",
    "contrastive_statistics",
    "extract",
    "fit_temperature",
    "knn",
    "linear_probe",
    "negative_log_likelihood",
    "overconfidence",
    "tolerance",
    "uniformity",
]
