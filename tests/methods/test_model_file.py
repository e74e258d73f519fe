"""Models as files: what is loaded is what was trained, or an error says why it is not."""

import json
import re

import pytest
import safetensors.torch
import torch
from strange_settings import strange_settings
from tiny_data import TINY
from tiny_settings import tiny
from torch import nn

from lelkern.config import Config
from lelkern.data import TableData
from lelkern.evaluate.features import to_unit
from lelkern.methods import Method, ModelFileError, Outcome, available, get, load, percentage
from lelkern.methods.model_file import is_whole, save
from lelkern.runtime import RuntimeConfig

RUNTIME = RuntimeConfig(device="cpu", precision="float32")
TRAINING = [name for name in available() if get(name).build is not None]
KNOWN = [
    *(
        "simclr",
        "simclr-v2",
        "supervised-encoder",
        "moco",
        "head-forgets",
        "few-shot-simclr",
        "transfer-simclr",
        "supervised",
        "mean-teacher",
        "noisy-student",
    ),
    *("ridge", "joint-sparse", "pooled-ridge", "support-recovery"),
    *("hard-sharing", "soft-sharing", "separate-networks", "group-pruning"),
]
BUILT = {get(name).build for name in KNOWN}
SOME = [*KNOWN, *(name for name in TRAINING if get(name).build not in BUILT)]
"""Every way to build a model, and every way to come to one."""


def card(name, config, data, **changes):
    return {
        "lelkern": "0.1.0",
        "trial": "0123",
        "method": name,
        "config": config.model_dump(mode="json"),
        "seed": 0,
        "data": "abc",
        "labels": {},
        "form": data.form().model_dump(mode="json"),
        "runtime": RUNTIME.model_dump(mode="json"),
        "code": "def",
        "packages": {},
        "metrics": {"accuracy": None},
    } | changes


def trained(name, path, runtime=RUNTIME, **settings):
    """Train a method on tiny data, store what it trained, and return the data and the models."""
    method = get(name)
    data = TINY[method.data]()
    config = tiny(method, data).model_copy(update=settings)
    method.check(config, data)
    outcome = method.run(config, data, 0, runtime, lambda step, loss: None)
    method.confirm(outcome)
    described = card(name, config, data, runtime=runtime.model_dump(mode="json"))
    save(path, outcome.models, described)
    return data, outcome.models


def samples(data):
    """What the models of a kind of data take."""
    if hasattr(data, "test_images"):
        return to_unit(data.test_images)
    return torch.tensor(data.tasks[0].test_x)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "models.safetensors"


@pytest.mark.parametrize("name", sorted(set(available()) - set(TRAINING)))
def test_only_what_trains_nothing_has_no_model(name):
    method = get(name)
    data, losses = TINY[method.data](), []
    config = tiny(method, data)
    outcome = method.run(config, data, 0, RUNTIME, lambda step, loss: losses.append(loss))
    assert not outcome.models
    assert set(losses) <= {None}


@pytest.mark.parametrize("name", SOME)
def test_what_is_loaded_computes_the_same_bits(name, path):
    data, models = trained(name, path)
    torch.manual_seed(3)
    state = torch.get_rng_state()
    with strange_settings():
        loaded = load(path)
    assert torch.equal(torch.get_rng_state(), state)
    assert {"model"} <= models.keys() == dict(loaded.named_children()).keys()
    assert not any(module.training for module in loaded.modules())
    x = samples(data)
    for key, model in models.items():
        model.eval()
        with torch.no_grad():
            assert torch.equal(getattr(loaded, key)(x), model(x)), key
            for (one, stored), (other, value) in zip(
                getattr(loaded, key).state_dict().items(), model.state_dict().items(), strict=True
            ):
                assert one == other
                assert stored.dtype == value.dtype
                assert torch.equal(stored, value)
                # On some processors the last bits depend on it, on others they do not.
                assert stored.stride() == value.stride()
    with torch.no_grad():
        assert torch.equal(loaded(x), models["model"](x))
    assert loaded.config == get(name).config.parse(loaded.card.config, "test")
    assert loaded.card.form == data.form()


@pytest.mark.parametrize("name", ["moco", "mean-teacher"])
def test_averages_differ_from_what_they_are_averages_of(name, path):
    data, _ = trained(name, path)
    loaded = load(path)
    x = samples(data)
    with torch.no_grad():
        assert not torch.equal(loaded.model(x), loaded.average(x))


def test_the_precision_of_the_run_is_that_of_the_model(path):
    data, models = trained("simclr", path, RuntimeConfig(device="cpu", precision="bfloat16"))
    x = samples(data)
    model = models["model"].eval()
    with torch.no_grad():
        assert torch.equal(load(path)(x), model(x))
        assert not torch.equal(model.head(model.encoder(x)), model(x))  # it does round


def test_a_student_of_another_size_is_rebuilt(path):
    from lelkern.models import ConvEncoderConfig

    data, models = trained("noisy-student", path, student=ConvEncoderConfig(width=6, depth=4))
    with torch.no_grad():
        assert torch.equal(load(path)(samples(data)), models["model"].eval()(samples(data)))


@pytest.mark.parametrize("encoder", [{"width": 8, "depth": 2}, {"name": "resnet18"}])
def test_a_pruned_network_keeps_its_size(path, encoder):
    method = get("group-pruning")
    config = method.config.parse({"encoder": encoder, "lam": 100.0, "steps": 1}, "test")
    settings = {name: getattr(config, name) for name in ("encoder", "lam", "steps")}
    data, models = trained("group-pruning", path, **settings)
    loaded, full = load(path), config.encoder.build()
    sizes = [sum(p.numel() for p in m.parameters()) for m in (loaded.model.encoder, full)]
    assert sizes[0] < sizes[1]
    assert loaded.model.linear.in_features == loaded.model.encoder.features
    with torch.no_grad():
        assert torch.equal(loaded(samples(data)), models["model"].eval()(samples(data)))


# --- a file of a method elsewhere -----------------------------------------------------------

METHOD = '''"""A method with two names for one tensor."""
from torch import nn
from lelkern.config import Config
from lelkern.data import TableData
from lelkern.methods import Method, Outcome, percentage

class TiedConfig(Config):
    """Nothing."""

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 4, bias=False)
        self.other = nn.Linear(4, 4, bias=False)
        self.other.weight = self.one.weight
        self.register_buffer("count", __import__("torch").zeros((), dtype=int))
        self.register_buffer("scratch", __import__("torch").ones(2), persistent=False)
    def forward(self, x):
        return self.other(self.one(x)) * self.scratch[0]

def build(config, blueprint):
    assert blueprint.shapes["one.weight"] == (4, 4)
    return Tied()

METHOD = Method(TiedConfig, TableData, {"accuracy": percentage("accuracy")}, run=None, build=build)
'''


@pytest.fixture
def tied(tmp_path, path):
    """A method in a file, and the file of its model."""
    file = tmp_path / "tied.py"
    file.write_text(METHOD.replace("run=None", "run=lambda *a: Outcome({})"))
    method = get(str(file))
    model = method.build(method.config(), type("B", (), {"shapes": {"one.weight": (4, 4)}}))
    save(path, {"model": model}, card("tied.py", method.config(), TINY[TableData]()))
    return file, model


def test_a_method_in_a_file_is_given_and_its_shared_tensors_stay_shared(tied, path):
    file, model = tied
    loaded = load(path, method=str(file)).model
    assert loaded.one.weight is loaded.other.weight
    x = torch.randn(3, 4)
    assert torch.equal(loaded(x), model(x))
    with pytest.raises(ModelFileError, match=r"trained by tied.py, whose path must be given"):
        load(path)
    with pytest.raises(ModelFileError, match=r"trained by 'tied.py', not by 'simclr'"):
        load(path, method="simclr")
    with pytest.raises(ModelFileError, match=r"nowhere/tied.py: no such file"):
        load(path, method="/nowhere/tied.py")


# --- what is no file of models --------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The content of a file of models."""
    path = tmp_path_factory.mktemp("good") / "models.safetensors"
    trained("supervised", path)
    return path.read_bytes()


def card_of(content):
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])["__metadata__"]
    return json.loads(header["lelkern"])["card"]


def rewritten(content, path, tensors=lambda tensors: None, **changes):
    """The same file with other tensors or another card, as if lelkern had written it so."""
    from lelkern.methods.model_file import _digest

    held = safetensors.torch.load(content)
    tensors(held)
    card = card_of(content) | changes
    entry = {"card": card, "sha256": _digest(card, held)}
    path.write_bytes(safetensors.torch.save(held, {"lelkern": json.dumps(entry)}))


def refused(path, message, **arguments):
    with pytest.raises(ModelFileError, match=re.escape(message)) as error:
        load(path, **arguments)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_no_file(tmp_path):
    refused(tmp_path / "none.safetensors", "No such file or directory")
    refused(tmp_path, "Is a directory")


@pytest.mark.parametrize("part", [0, 7, 100, -1])
def test_a_file_that_is_cut_off_is_damaged(good, path, part):
    path.write_bytes(good[:part])
    refused(path, "no safetensors file, or damaged")


def test_any_byte_that_is_not_what_was_written_is_seen(good, path):
    for place in range(8, len(good), len(good) // 23):
        content = bytearray(good)
        content[place] ^= 1
        path.write_bytes(content)
        with pytest.raises(ModelFileError) as error:
            load(path)
        assert str(error.value).startswith(f"{path}: ")
        assert not is_whole(path, "0123")


def test_files_of_others(good, path):
    safetensors.torch.save_file({"model.weight": torch.zeros(2)}, path)
    refused(path, "not written by lelkern")
    safetensors.torch.save_file({"a": torch.zeros(2)}, path, {"lelkern": "[1"})
    refused(path, "damaged: its header cannot be read")
    torch.save({"a": torch.zeros(2)}, path)
    refused(path, "no safetensors file")


def test_the_trial_is_the_one_that_is_meant(good, path):
    path.write_bytes(good)
    assert is_whole(path, "0123")
    assert not is_whole(path, "4567")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2, "lelkern": "9.0", "new": 1}, "by lelkern 9.0 in format 2; this version"),
        ({"new": 1}, "unknown key 'new'"),
        ({"seed": "one"}, "seed: Input should be a valid integer"),
        ({"models": ["average"]}, "models must have one called 'model'"),
        ({"models": ["model", "train"]}, "must not be called 'train'"),
        ({"models": ["model"]}, "is a tensor of no model"),
        ({"method": "superfised"}, "unknown method 'superfised'; did you mean 'supervised'?"),
        ({"method": "raw-pixels", "config": {}}, "method 'raw-pixels' trains no model"),
        ({"method": "simclr"}, "its configuration: unknown key 'dropout'"),
        ({"method": "mixmatch"}, "its configuration: unknown key 'mixup'"),
        ({"config": {"steps": -1}}, "its configuration: steps: Input should be greater"),
        ({"config": {"encoder": {"width": 9}}}, "encoder.layers.0.weight has shape (4, 3, 3, 3)"),
    ],
    ids=str,
)
def test_cards_that_do_not_fit(good, path, changes, message):
    rewritten(good, path, **changes)
    refused(path, message)


def test_forms_of_data_that_do_not_fit(good, path):
    form = card_of(good)["form"]
    rewritten(good, path, form=form | {"classes": []})
    refused(path, "method 'supervised' cannot make 'model': ValueError: not enough values")
    rewritten(good, path, form=form | {"classes": [["a", "b"]]})
    refused(path, "linear.bias has shape (3,) in the file, (2,) in the model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.linear.bias"), "the file has no tensor 'linear.bias'"),
        (lambda t: t.update({"model.more": torch.zeros(1)}), "it has no tensor 'more'"),
        (lambda t: t.update({"more": torch.zeros(1)}), "'more' is a tensor of no model"),
    ],
)
def test_tensors_that_do_not_fit(good, path, change, message):
    rewritten(good, path, change)
    refused(path, message)


# --- what cannot be stored ------------------------------------------------------------------


class Odd(nn.Module):
    def get_extra_state(self):
        return {"a": 1}


def test_a_state_that_is_no_tensor_is_refused(path):
    with pytest.raises(ValueError, match=r"the state of 'model' must be tensors, got dict in"):
        save(path, {"model": Odd()}, {})
    assert not path.exists()


class Nothing(Config):
    """Nothing."""


@pytest.mark.parametrize(
    ("build", "models", "message"),
    [
        (None, {"model": nn.Identity()}, "must be none, as METHOD has no build, got model"),
        (nn.Identity, {}, r"must have one called 'model', got \[\]"),
        (nn.Identity, {"model": nn.Identity(), "a.b": nn.Identity()}, "got 'a.b'"),
        (nn.Identity, {"model": nn.Identity(), "forward": nn.Identity()}, "called 'forward'"),
        (nn.Identity, {"model": nn.Identity(), "card": nn.Identity()}, "called 'card'"),
    ],
)
def test_an_outcome_has_the_models_that_can_be_loaded(build, models, message):
    metrics = {"accuracy": percentage("accuracy")}
    method = Method(Nothing, TableData, metrics, run=lambda *arguments: None, build=build)
    with pytest.raises(ValueError, match=message):
        method.confirm(Outcome({"accuracy": 1.0}, models=models))
