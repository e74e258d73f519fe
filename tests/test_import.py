"""What ``import lelkern`` imports: little beyond PyTorch, so that it takes hardly longer."""

import importlib.metadata
import json
import subprocess
import sys

import lelkern

# What comes with lelkern's methods and studies, or with PyTorch's compiler, and takes long.
HEAVY = {
    "click", "kornia", "matplotlib", "pandas", "PIL", "pydantic", "rich", "scipy", "sklearn",
    "torch._dynamo", "torch._inductor", "torch.distributed.tensor", "torchvision",
}  # fmt: skip

CODE = """
import json, sys
before = set(sys.modules)
import lelkern
alone = set(sys.modules)
lelkern.nt_xent, lelkern.nn, lelkern.optim.ProximalSGD
print(json.dumps([sorted(alone - before), sorted(set(sys.modules) - before)]))
"""


def packages_of(modules):
    return {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names)


def test_import_takes_pytorch_for_an_op_and_nothing_at_all_before():
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    alone, used = map(set, json.loads(run.stdout))
    assert packages_of(alone) == {"lelkern"}
    assert {module for module in alone if module.startswith("lelkern.")} == set()
    assert "torch" in used
    assert not HEAVY & (used | packages_of(used))
    own = {module.split(".")[1] for module in used if module.startswith("lelkern.")}
    assert own == {"errors", "lazy", "nn", "number", "ops", "optim", "reference"}
    assert "lelkern.optim.optimisation" not in used


def test_every_name_is_there():
    for name in lelkern.__all__:
        assert getattr(lelkern, name) is not None
    assert set(lelkern.__all__) <= set(dir(lelkern))


def test_the_version_is_that_of_the_installation():
    assert lelkern.__version__ == importlib.metadata.version("lelkern")
    assert not hasattr(lelkern, "__versions__")
