"""Semi-supervised runs of a tenth of a second, and the same step by step in plain PyTorch."""

from copy import deepcopy

import torch
from tiny_data import hidden, tiny_images

from lelkern.augment import Augment
from lelkern.methods.images import labelled_images, training_images
from lelkern.methods.semi_supervised._classifier import Classifier
from lelkern.methods.training import batches, unbroken_batches
from lelkern.runtime import RuntimeConfig

FLOAT32 = RuntimeConfig(device="cpu", precision="float32")

SMALL = {
    "encoder": {"width": 4, "depth": 1},
    "augment": ["flip"],
    "batch_size": 4,
    "steps": 8,
    "ema": 0.7,
    # No momentum of second moments, which would hide the scale of a loss.
    "optimizer": {
        "name": "sgd",
        "lr": 0.1,
        "weight_decay": 0.0,
        "warmup": 0.0,
        "schedule": "constant",
    },
}
UNLABELLED = {"unlabelled_batch_size": 5}


def few_labels(visible=0.2):
    """30 images of three classes, 6 of which show their label."""
    return hidden(tiny_images(), visible)


def small(kind, **changes):
    """A small configuration of a kind of its own."""
    known = SMALL | (UNLABELLED if "unlabelled_batch_size" in kind.model_fields else {})
    return kind.parse(known | changes, "test")


def recorded(train, config, data, seed=0):
    """Train; return what train returns, and the losses."""
    losses = []
    return train(config, data, seed, FLOAT32, lambda step, loss: losses.append(loss)), losses


def weights(model):
    """A copy of all parameters and buffers, by name."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def same(a, b):
    """Whether two dictionaries have the same tensors, bit for bit."""
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


class Replay:
    """A training in plain PyTorch, from the same random numbers as a recipe's.

    ``loss(run, x, y, u, ids, done)`` gives the loss of a step; ``run.model``, ``run.average`` and
    ``run.augment`` are what it needs besides the batch.
    """

    def __init__(self, config, data, loss, seed=0):
        torch.manual_seed(seed)
        self.config, self.classes = config, len(data.classes)
        self.model = Classifier(config.encoder, config.dropout, self.classes, FLOAT32)
        self.model = self.model.to(memory_format=torch.channels_last)
        self.average = deepcopy(self.model)
        self.augment = Augment(config.augment, data.train_images.shape[-1])
        sgd = torch.optim.SGD(
            self.model.parameters(), config.optimizer.lr, momentum=0.9, nesterov=True
        )
        (images, labels), everything = labelled_images(data), training_images(data)
        chosen = unbroken_batches(len(images), config.batch_size, config.steps)
        others = batches(len(everything), config.unlabelled_batch_size, config.steps)
        self.losses = []
        for step, (i, ids) in enumerate(zip(chosen, others, strict=True)):
            x, u = images[i].float() / 255, everything[ids].float() / 255
            value = loss(self, x, labels[i], u, ids, step / config.steps)
            self.losses.append(value.item())
            sgd.zero_grad()
            value.backward()
            sgd.step()
            self._average(min(step / (step + 1), config.ema))

    def _average(self, decay):
        for mine, theirs in zip(
            self.average.state_dict().values(), self.model.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():  # the number of batches is none
                mine.mul_(decay).add_(theirs, alpha=1 - decay)
            else:
                mine.copy_(theirs)

    def without_statistics(self, model, images):
        """What a model in training mode gives, on a copy, so that nothing remembers it."""
        return deepcopy(model)(images)

    def split(self, x, u):
        """Logits of augmented labelled and unlabelled images, in one pass."""
        logits = self.model(self.augment(torch.cat([x, u])))
        return logits[: len(x)], logits[len(x) :]
