"""Features with a graph and labels of any whole-number type are those without, and int64."""

import pytest
import torch

from lelkern import evaluate

X = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(30) % 3
METRICS = {
    "linear_probe": lambda x, y: evaluate.linear_probe(x, y, x, y),
    "knn": lambda x, y: evaluate.knn(x, y, x, y),
    "tolerance": evaluate.tolerance,
    "calibration_error": lambda x, y: evaluate.calibration_error(x.softmax(1), y),
    "overconfidence": lambda x, y: evaluate.overconfidence(x.softmax(1), y),
    "negative_log_likelihood": evaluate.negative_log_likelihood,
    "fit_temperature": evaluate.fit_temperature,
    "alignment": lambda x, y: evaluate.alignment(x, x.flip(0)),
    "uniformity": lambda x, y: evaluate.uniformity(x),
    "contrastive_statistics": lambda x, y: evaluate.contrastive_statistics(x, x.flip(0), 0.5),
}
OF_LABELS = METRICS.keys() - {"alignment", "uniformity", "contrastive_statistics"}


@pytest.mark.filterwarnings("error")  # PyTorch warns where a graph is lost on the way to a number
@pytest.mark.parametrize("metric", METRICS)
def test_features_may_have_a_graph(metric):
    want = METRICS[metric](X, Y)
    assert METRICS[metric](X.clone().requires_grad_() * 1, Y) == want


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.int16], ids=str)
@pytest.mark.parametrize("metric", sorted(OF_LABELS))
def test_labels_may_be_of_any_type_of_whole_numbers(metric, dtype):
    assert METRICS[metric](X, Y.to(dtype)) == METRICS[metric](X, Y)
