import os
import random
from collections import defaultdict

# Before torch is imported: kernels this small lose more by waking threads than they gain, and on a
# busy machine a hundredfold. Tests of threading set their own number.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture(params=["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def device(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def mesh(tmp_path):
    """The mesh of this process alone, over which tensors are spread as over many."""
    distributed = pytest.importorskip("torch.distributed")
    distributed.init_process_group(
        "gloo", rank=0, world_size=1, init_method=f"file://{tmp_path}/rendezvous"
    )
    from torch.distributed.device_mesh import init_device_mesh

    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--few",
        action="store_true",
        help="of each test only so many combinations of its parameters that every value is met",
    )


@pytest.hookimpl(trylast=True)  # after -m and -k
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("few"):
        kept = with_every_value(items)
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = [item for item in items if item in kept]
    # First what takes long, so that no process is left with it when others have nothing to do.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def with_every_value(items: list[pytest.Item]) -> set[pytest.Item]:
    """Return of each test so many combinations of its parameters that every value is in one.

    In an order that is random, so that values meet many of the others, but depends on nothing else
    than the test.
    """
    of_tests: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        of_tests[item.nodeid.partition("[")[0]].append(item)
    kept: set[pytest.Item] = set()
    for test, combinations in of_tests.items():
        met: set[tuple[str, type, str]] = set()
        for item in random.Random(test).sample(combinations, len(combinations)):
            given = item.callspec.params if hasattr(item, "callspec") else {}
            values = {(name, type(value), repr(value)) for name, value in given.items()}
            if not values or not values <= met:
                met |= values
                kept.add(item)
    return kept


@pytest.fixture
def images(tmp_path):
    """A folder of two classes of tiny images, with which a trial takes no time."""
    generator = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for i in range(20):
            pixels = generator.integers(256, size=(8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / label / f"{i}.png")
    return tmp_path / "images"
