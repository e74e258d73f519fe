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
import json, sys, torch
before = set(sys.modules)
import lelkern
print(json.dumps([sorted(sys.modules), sorted(set(sys.modules) - before)]))
"""


def test_import_takes_pytorch_and_nothing_else():
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    modules, added = json.loads(run.stdout)
    packages = {module.split(".")[0] for module in added} - set(sys.stdlib_module_names)
    assert packages == {"lelkern"}
    assert not HEAVY.intersection(modules)
    assert {module.split(".")[1] for module in added if module.startswith("lelkern.")} == {
        "nn",
        "ops",
        "reference",
    }


def test_the_version_is_that_of_the_installation():
    assert lelkern.__version__ == importlib.metadata.version("lelkern")
    assert not hasattr(lelkern, "__versions__")
