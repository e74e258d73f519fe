"""The tables that scikit-learn brings along."""

from functools import partial

import numpy as np

from lelkern.data.registry import register
from lelkern.data.table_data import TableData
from lelkern.data.task_data import TaskData

VERSION = 1
"""Raised whenever the same options would give other tables, so that caches notice."""

# scikit-learn is imported inside the readers: it takes a second, and most runs need none of them.


def _load_table(name: str, *, seed: int, test_fraction: float) -> TableData:
    """Return one of the tables; the test samples are drawn."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name.replace('-', '_')}")()
    classes = [str(label) for label in getattr(bunch, "target_names", ())]
    return TableData.from_arrays(
        name,
        bunch.data,
        bunch.target,
        test_fraction=test_fraction,
        seed=seed,
        classes=classes,
        features=[str(feature) for feature in bunch.feature_names],
    )


for _name, _summary in {
    "iris": "150 irises, 3 species, 4 features (Fisher 1936)",
    "wine": "178 wines, 3 growers, 13 features (Forina et al. 1988)",
    "breast-cancer": "569 tumours, malignant or benign, 30 features (Wolberg et al. 1993)",
    "digits": "1,797 handwritten digits, 64 grey values from 0 to 16 (Alpaydin & Kaynak 1998)",
    "diabetes": "442 patients, the disease a year on, 10 features (Efron et al. 2004)",
}.items():
    register(_name, TableData, summary=_summary, version=VERSION)(partial(_load_table, _name))


@register(
    "linnerud",
    TaskData,
    summary="20 men, 3 measures of the body from 3 exercises, as tasks (Tenenhaus 1998)",
    version=VERSION,
)
def linnerud(seed: int, test_fraction: float) -> TaskData:
    """Return three regression tasks over shared samples, which are split alike."""
    from sklearn.datasets import load_linnerud

    bunch = load_linnerud()
    return TaskData.from_arrays(
        "linnerud",
        np.asarray(bunch.data),
        list(bunch.target.T),
        test_fraction=test_fraction,
        seed=seed,
        names=bunch.target_names,
        features=bunch.feature_names,
    )
