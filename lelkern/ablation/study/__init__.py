"""What a study says: its arms, factors and baselines, its claims, and the plots of it.

Reading a study imports neither PyTorch nor any method, so that ``lelkern studies`` is quick.
"""

from lelkern.ablation.study.factor import Factor
from lelkern.ablation.study.files import (
    load_study,
    method_name,
    shipped_studies,
    studies_folder,
    study_path,
)
from lelkern.ablation.study.plot import Plot, Published
from lelkern.ablation.study.study import EXPLORATORY, Baseline, NamedArm, Quick, Study

__all__ = [
    "EXPLORATORY",
    "Baseline",
    "Factor",
    "NamedArm",
    "Plot",
    "Published",
    "Quick",
    "Study",
    "load_study",
    "method_name",
    "shipped_studies",
    "studies_folder",
    "study_path",
]
