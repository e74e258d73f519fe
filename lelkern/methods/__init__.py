"""The training recipes, each a file of its own in the folder of its chapter.

A method is a file ``lelkern/methods/<chapter>/<method>.py`` that ends in ``METHOD = Method(...)``;
files whose names start with an underscore hold what methods share. Its name is the file's with
``-`` for ``_``: ``raw_pixels.py`` is ``raw-pixels``. A method may also lie anywhere else: then its
name is the absolute path of its file.

Nothing is imported to list the methods, neither PyTorch nor their files; :func:`get` imports one.
"""

from lelkern.methods.method import Method, Outcome, accept
from lelkern.methods.metric import Curve, Metric, percentage
from lelkern.methods.registry import CHAPTERS, MethodFile, available, find, get

__all__ = [
    "CHAPTERS",
    "Curve",
    "Method",
    "MethodFile",
    "Metric",
    "Outcome",
    "accept",
    "available",
    "find",
    "get",
    "percentage",
]
