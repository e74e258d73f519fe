"""Self-training: a classifier labels what it is sure of, and learns from that as well."""

from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import SelfTrainingClassifier

from lelkern.config import Config
from lelkern.data import TableData
from lelkern.methods import Method, Outcome, percentage
from lelkern.runtime import Progress, RuntimeConfig


class SelfTrainingConfig(Config):
    """What the classifier can be told.

    Attributes:
        threshold: confidence from which a guess counts as a label.
    """

    threshold: float = 0.75


def run(
    config: SelfTrainingConfig,
    data: TableData,
    seed: int,
    runtime: RuntimeConfig,
    progress: Progress,
) -> Outcome:
    """Fit to all training samples; scikit-learn, too, takes -1 for a hidden label."""
    model = SelfTrainingClassifier(LogisticRegression(max_iter=500), threshold=config.threshold)
    model.fit(data.train_x, data.train_y)
    return Outcome({"accuracy": float(model.score(data.test_x, data.test_y))})


METHOD = Method(
    config=SelfTrainingConfig,
    data=TableData,
    metrics={"accuracy": percentage("accuracy")},
    run=run,
)
