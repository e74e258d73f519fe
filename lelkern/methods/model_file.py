"""Models that trials trained, as files: safetensors, whose header says all that they mean.

A tensor is called ``<model>.<its name in the state_dict>``. The header's entry ``lelkern`` is JSON:
a :class:`ModelCard` and a digest of it and of all tensors. Nothing in a file is ever run: it names
a method, whose code is that of the lelkern or the package that reads it.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from pydantic import field_validator
from torch import Tensor, nn

from lelkern.config import Config, ConfigError
from lelkern.data.form import DataForm
from lelkern.errors import UserError
from lelkern.files import write_atomically
from lelkern.methods.method import Blueprint, Method, check_model_names
from lelkern.methods.registry import get
from lelkern.methods.training import seeded
from lelkern.runtime import RuntimeConfig
from lelkern.torch_settings import usual_settings

FORMAT = 1
"""Of the card. A file of a later format is refused."""


class ModelFileError(UserError):
    """A file is no file of models that can be used here; the message is a line that names it."""


class ModelCard(Config):
    """What is known of the models in a file.

    Attributes:
        format: :data:`FORMAT` of what wrote it.
        lelkern: the version that trained them.
        trial: the identity of the trial, which is the name of its folder.
        method: name of the method, or of its file.
        config: the method's whole configuration.
        seed: of the trial.
        data: the fingerprint of the data.
        labels: how many of the labels were visible, where not all.
        form: of the data: shape and scale of a sample, tasks and classes.
        runtime: device, precision and threads.
        code: hash of the code that trained them.
        packages: versions of the packages that it imported.
        metrics: what the run reported; None where it had no value.
        models: their names.
        channels_last: the tensors that lie in memory with channels last, which decides the last
            bits of what comes out.
    """

    format: int
    lelkern: str
    trial: str
    method: str
    config: dict[str, Any]
    seed: int
    data: str
    labels: dict[str, Any]
    form: DataForm
    runtime: RuntimeConfig
    code: str
    packages: dict[str, str]
    metrics: dict[str, float | None]
    models: tuple[str, ...]
    channels_last: tuple[str, ...]

    @field_validator("models")
    @classmethod
    def _are_names(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        check_model_names(models)
        return models


class TrainedModel(nn.Module):
    """What a trial trained, in evaluation mode; called like its ``model``.

    Attributes:
        model: the network, or the layer of linear tasks.
        average: the average of its weights, of methods that keep one.
        config: the configuration of the method.
        card: what else is known.
    """

    model: nn.Module

    def __init__(self, models: Mapping[str, nn.Module], config: Config, card: ModelCard) -> None:
        super().__init__()
        self.config = config
        self.card = card
        for name, model in models.items():
            self.add_module(name, model)
        self.eval()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call ``model``."""
        return self.model(*args, **kwargs)

    def extra_repr(self) -> str:
        """Say which method, trial and seed it is of."""
        card = self.card
        return f"method={card.method!r}, trial={card.trial!r}, seed={card.seed}"


def save(path: Path, models: Mapping[str, nn.Module], card: Mapping[str, Any]) -> None:
    """Write models to one file, whole or not at all.

    Args:
        path: the file to create or replace.
        models: by name.
        card: the entries of :class:`ModelCard` but ``format``, ``models`` and ``channels_last``.

    Raises:
        ValueError: the ``state_dict`` of a model holds something other than tensors.
        OSError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, model in models.items():
        for key, value in model.state_dict().items():
            if not isinstance(value, Tensor):
                kind = type(value).__name__
                raise ValueError(f"the state of {name!r} must be tensors, got {kind} in {key!r}")
            tensors[f"{name}.{key}"] = value
    whole = ModelCard.parse(
        {
            **card,
            "format": FORMAT,
            "models": list(models),
            "channels_last": [name for name, value in tensors.items() if _has_channels_last(value)],
        },
        str(path),
    )
    plain_card = whole.model_dump(mode="json")
    # Copies, as safetensors refuses tensors that share memory.
    plain = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in tensors.items()
    }
    # In one entry, as safetensors writes several in any order.
    entry = json.dumps({"card": plain_card, "sha256": _digest(plain_card, plain)})
    content = safetensors.torch.save(plain, {"lelkern": entry})
    write_atomically(path, lambda temporary: _write(temporary, content))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def is_whole(path: Path, trial: str) -> bool:
    """Return whether a file holds the models of a trial, undamaged, in the present format."""
    try:
        card, _ = _read(path)
    except ModelFileError:
        return False
    return card.trial == trial


@usual_settings()
def load(
    path: str | os.PathLike[str],
    *,
    method: str | None = None,
    device: torch.device | str = "cpu",
) -> TrainedModel:
    """Return the models of a trial, which ``lelkern ablate ... --keep-models`` stores.

    What comes out has the same bits as when it was trained, on the same kind of device.

    Args:
        path: ``models.safetensors`` in the folder of a trial, wherever it is now.
        method: path of the method's file, where that is no part of lelkern or of an installed
            package; a method's name, where it is to be made sure of.
        device: where the models are put.

    Returns:
        A module in evaluation mode that is called like the network, with what else was kept.

    Raises:
        ModelFileError: there is no such file, it is damaged, another program's or a later format's,
            or the method is another one, not there, or has changed so that it does not fit.
    """
    path = Path(path)
    card, tensors = _read(path)
    try:
        recipe = get(_name_of_method(card, method, path))
        config = recipe.config.parse(card.config, "its configuration")
    except ConfigError as error:
        raise ModelFileError(f"{path}: {error}") from None
    kind = "cuda" if torch.device(device).type == "cuda" else "cpu"
    runtime = card.runtime.model_copy(update={"device": kind})
    models = {
        name: _build(recipe, config, name, runtime, card, tensors, path) for name in card.models
    }
    return TrainedModel(models, config, card).to(device)


def _name_of_method(card: ModelCard, wanted: str | None, path: Path) -> str:
    own = card.method
    if wanted is None:
        if own.endswith(".py"):
            raise ModelFileError(f"{path}: trained by {own}, whose path must be given as method")
        return own
    name = str(Path(wanted).resolve()) if wanted.endswith(".py") else wanted
    if own != (Path(name).name if name.endswith(".py") else name):
        raise ModelFileError(f"{path}: trained by {own!r}, not by {wanted!r}")
    return name


def _build(
    recipe: Method,
    config: Config,
    name: str,
    runtime: RuntimeConfig,
    card: ModelCard,
    tensors: Mapping[str, Tensor],
    path: Path,
) -> nn.Module:
    """Make a model and put its weights into it."""
    prefix = f"{name}."
    own = {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
    shapes = {key: tuple(value.shape) for key, value in own.items()}
    if recipe.build is None:
        raise ModelFileError(f"{path}: method {card.method!r} trains no model")
    try:
        with seeded(0):
            model = recipe.build(config, Blueprint(name, card.form, runtime, shapes))
    except Exception as error:
        problem = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ModelFileError(
            f"{path}: method {card.method!r} cannot make {name!r}: {problem}"
        ) from error
    made = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    if made != shapes:
        raise ModelFileError(
            f"{path}: {name!r} is no model that method {card.method!r} makes now: "
            f"{_first_difference(shapes, made)}"
        )
    for key, value in _unique_tensors(model):
        value.data = _laid_out(own[key], prefix + key in card.channels_last)
    model.load_state_dict(own)
    return model


def _first_difference(
    stored: Mapping[str, tuple[int, ...]], made: Mapping[str, tuple[int, ...]]
) -> str:
    for key in (*stored, *made):
        if key not in made:
            return f"it has no tensor {key!r}"
        if key not in stored:
            return f"the file has no tensor {key!r}"
        if stored[key] != made[key]:
            return f"{key} has shape {stored[key]} in the file, {made[key]} in the model"
    return "nothing"


def _unique_tensors(model: nn.Module) -> Iterable[tuple[str, Tensor]]:
    """Yield the tensors of a ``state_dict``, one that is in several places once."""
    kept = model.state_dict()
    for key, value in (*model.named_parameters(), *model.named_buffers()):
        if key in kept:
            yield key, value


_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""The memory format by the number of dimensions."""


def _has_channels_last(value: Tensor) -> bool:
    if value.ndim not in _CHANNELS_LAST:
        return False
    # By strides, since is_contiguous() says yes to both formats where a filter is 1x1.
    plain, last = (
        torch.empty(value.shape, device="meta", memory_format=memory_format).stride()
        for memory_format in (torch.contiguous_format, _CHANNELS_LAST[value.ndim])
    )
    return value.stride() == last != plain


def _laid_out(value: Tensor, channels_last: bool) -> Tensor:
    layout = _CHANNELS_LAST[value.ndim] if channels_last else torch.contiguous_format
    return torch.empty(value.shape, dtype=value.dtype, memory_format=layout).copy_(value)


def _digest(card: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return a digest of a card and of contiguous tensors: their names, types, shapes and bytes."""
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[ModelCard, dict[str, Tensor]]:
    """Return the card and the tensors of a file, checked against its digest."""
    try:
        with path.open("rb"):
            pass
        with safetensors.safe_open(str(path), framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror or error}") from None
    except safetensors.SafetensorError as error:
        reason = str(error).partition("\n")[0]
        raise ModelFileError(f"{path}: no safetensors file, or damaged: {reason}") from None
    if "lelkern" not in header:
        raise ModelFileError(f"{path}: not written by lelkern: its header has no entry 'lelkern'")
    try:
        entry = json.loads(header["lelkern"])
        plain, number = entry["card"], entry["card"]["format"]
        version, digest = plain["lelkern"], entry["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelFileError(f"{path}: damaged: its header cannot be read") from None
    if number != FORMAT:
        raise ModelFileError(
            f"{path}: written by lelkern {version} in format {number}; this version reads "
            f"format {FORMAT}"
        )
    if digest != _digest(plain, tensors):
        raise ModelFileError(f"{path}: damaged: its content is not what was written")
    try:
        card = ModelCard.parse(plain, str(path))
    except ConfigError as error:
        raise ModelFileError(str(error)) from None
    for name in tensors:
        if name.partition(".")[0] not in card.models:
            raise ModelFileError(f"{path}: {name!r} is a tensor of no model")
    return card, tensors
