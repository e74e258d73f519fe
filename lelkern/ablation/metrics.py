"""The metrics that methods report: how each is named and written, and which way is better."""

from collections.abc import Mapping

from lelkern.methods.metric import Metric, percentage

__all__ = ["METRICS", "Metric"]

METRICS: Mapping[str, Metric] = {
    "linear_probe": percentage("linear probe"),
    "linear_probe_projection": percentage("linear probe on projection"),
    "knn": percentage("k-NN"),
    "knn_projection": percentage("k-NN on projection"),
    "contrastive_accuracy": percentage("contrastive accuracy"),
    "contrastive_entropy": Metric("contrastive entropy", unit="nats", digits=2),
    "alignment": Metric("alignment", better="lower"),
    "uniformity": Metric("uniformity", better="lower", unit="nats", digits=2),
    "tolerance": Metric("tolerance"),
    "parameters": Metric("encoder parameters", digits=0),
    "final_loss": Metric("final loss", better="lower", unit="nats"),
}
