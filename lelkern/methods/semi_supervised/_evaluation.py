"""What semi-supervised methods are judged by."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from lelkern.data import ImageData
from lelkern.evaluate import (
    calibration_error,
    extract,
    fit_temperature,
    negative_log_likelihood,
    overconfidence,
)
from lelkern.evaluate.checks import check_features
from lelkern.methods.method import Outcome
from lelkern.methods.metric import Metric, percentage
from lelkern.methods.semi_supervised._learner import Trained

METRICS: Mapping[str, Metric] = {
    "accuracy": percentage("accuracy"),
    "accuracy_average": percentage("accuracy of the average"),
    "validation_accuracy": percentage("validation accuracy"),
    "calibration_error": Metric("calibration error", better="lower", unit="%", digits=1),
    "overconfidence": Metric("confidence - accuracy", unit="%", digits=1, signed=True),
    "negative_log_likelihood": Metric("negative log-likelihood", better="lower", unit="nats"),
    "entropy": Metric("entropy of predictions", unit="nats"),
    "temperature": Metric("temperature that calibrates", digits=2),
    "calibration_error_scaled": Metric(
        "calibration error at that temperature", better="lower", unit="%", digits=1
    ),
    "pseudo_label_share": Metric("accepted pseudo-labels", unit="%", digits=1),
    "pseudo_label_precision": percentage("accepted pseudo-labels that are right"),
}
"""What every semi-supervised method reports: that of :func:`evaluate`."""


class Labeller(NamedTuple):
    """Who gives pseudo-labels, and which are accepted.

    Attributes:
        predict: images (N, 3, H, W), uint8, to the logits (N, C) of their labels.
        threshold: confidence from which on they are accepted.
    """

    predict: Callable[[Tensor], Tensor]
    threshold: float


def evaluate(
    trained: Trained, data: ImageData, labeller: Labeller | None = None
) -> dict[str, float]:
    """Judge a trained network and the average of its weights; both stay as they are.

    Everything but ``accuracy_average`` and what is said of pseudo-labels is about the network. The
    expected calibration error has 15 bins. The temperature is fitted to validation images.

    Which pseudo-labels of training images are right cannot be known here, as hidden labels are not
    in the data. So share and precision are those of the labels that the validation images would
    get, or the test images where none were set aside: images of the same kind, which nothing was
    fitted to.

    Args:
        trained: the network and the average.
        data: with test images, and validation images if there are any.
        labeller: who gave pseudo-labels; None if nobody did.

    Returns:
        The metrics by name. NaN: what is measured on validation images if there are none, what is
        said of pseudo-labels if there are none, and the precision if none was accepted.
    """
    model, average = trained
    logits, labels = predict(model, data.test_images), data.test_labels
    p = logits.softmax(dim=1)
    metrics = dict.fromkeys(METRICS, math.nan) | {
        "accuracy": accuracy(logits, labels),
        "accuracy_average": accuracy(predict(average, data.test_images), labels),
        "calibration_error": calibration_error(p, labels),
        "overconfidence": overconfidence(p, labels),
        "negative_log_likelihood": negative_log_likelihood(logits, labels),
        "entropy": float((-p * logits.log_softmax(dim=1)).sum(dim=1).mean()),
    }
    if data.val_images is not None and data.val_labels is not None:
        held_out, true = data.val_images, data.val_labels
        val_logits = predict(model, held_out)
        temperature = fit_temperature(val_logits, true)
        metrics["validation_accuracy"] = accuracy(val_logits, true)
        metrics["temperature"] = temperature
        scaled = (logits / temperature).softmax(dim=1)
        metrics["calibration_error_scaled"] = calibration_error(scaled, labels)
    else:
        held_out, true = data.test_images, labels
    if labeller is not None:
        confidence, guess = labeller.predict(held_out).double().softmax(dim=1).max(dim=1)
        accepted = confidence >= labeller.threshold
        metrics["pseudo_label_share"] = float(accepted.double().mean())
        right = (guess == true)[accepted]
        metrics["pseudo_label_precision"] = float(right.double().mean())  # NaN of none
    return metrics


def outcome(trained: Trained, data: ImageData, labeller: Labeller | None = None) -> Outcome:
    """Return the metrics of :func:`evaluate`, and the trained network with its average."""
    return Outcome(evaluate(trained, data, labeller), models=trained.models())


def predict(model: nn.Module, images: Tensor) -> Tensor:
    """Return the logits of images as they are, (N, C) float64 on the CPU, in evaluation mode.

    In float64 a confidence is hardly ever rounded to 1.

    Args:
        model: images, float in [0, 1], to logits.
        images: (N, 3, H, W) uint8, on any device.

    Raises:
        NotFiniteError: a logit is NaN or infinite.
    """
    (logits,) = extract([model], images)
    check_features("logits", logits)
    return logits.double()


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of samples whose largest logit (N, C) is that of their label (N,)."""
    return float((logits.argmax(dim=1) == labels).double().mean())
