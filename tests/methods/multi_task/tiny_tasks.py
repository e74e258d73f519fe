"""Runs on images of three tasks that take a tenth of a second."""

from tiny_data import hidden, tiny_image_tasks

from lelkern.runtime import RuntimeConfig

FLOAT32 = RuntimeConfig(device="cpu", precision="float32")

SMALL = {
    "encoder": {"width": 4, "depth": 1},
    "batch_size": 4,
    "steps": 6,
    # No second moments, which would hide the scale of a loss.
    "optimizer": {
        "name": "sgd",
        "lr": 0.05,
        "weight_decay": 0.0,
        "warmup": 0.0,
        "schedule": "constant",
    },
}


def small(kind, **changes):
    """A small configuration of a kind of its own."""
    return kind.parse(SMALL | changes, "test")


def some_labels():
    """30 images, 12 of which show the label of the first task."""
    return hidden(tiny_image_tasks(), 0.4)


def recorded(train, config, data, seed=0):
    """Train; return what train returns, and the losses."""
    losses = []
    return train(config, data, seed, FLOAT32, lambda step, loss: losses.append(loss)), losses


def weights(model):
    """A copy of all parameters and buffers, by name."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
