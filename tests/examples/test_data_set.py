import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from lelkern.config import ConfigError
from lelkern.data import DATA_SETS, DataConfig, DataSource, TableData, visible_labels

EXAMPLE = Path(__file__).with_name("data_set.py")


@pytest.fixture
def two_moons():
    """The example, run and registered for the time of a test."""
    spec = importlib.util.spec_from_file_location("example_data_set", EXAMPLE)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    yield DATA_SETS["two-moons"]
    del DATA_SETS["two-moons"]


@pytest.mark.usefixtures("two_moons")
def test_the_example_is_a_data_set():
    config = DataConfig(name="two-moons", seed=3, test_fraction=0.25, val_fraction=0.1)
    source = DataSource(config)
    assert source.kind is TableData
    data = source.load()
    assert data.describe() == (
        "2 classes, 270 training, 30 validation and 100 test samples, 2 features"
    )
    for key, value in {"seed": 4, "test_fraction": 0.3, "val_fraction": 0.2}.items():
        other = DataSource(config.model_copy(update={key: value}))
        assert other.fingerprint != source.fingerprint
        assert not np.array_equal(other.load().train_x, data.train_x)
    fewer = DataSource(config.model_copy(update={"labels_per_class": 4}))
    assert fewer.fingerprint == source.fingerprint
    labels = visible_labels(fewer.load().labels(), fewer.config, seed=0)
    assert torch.bincount(labels[labels >= 0]).tolist() == [4, 4]
    with pytest.raises(ConfigError, match="image_size: means nothing for 'two-moons'"):
        DataSource(config.model_copy(update={"image_size": 32})).load()


def test_contributing_shows_the_example():
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.search(r"^## How to add a data set$(.*?)^## ", text, re.MULTILINE | re.DOTALL)[1]
    blocks = re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert blocks == [EXAMPLE.read_text(encoding="utf-8")]
