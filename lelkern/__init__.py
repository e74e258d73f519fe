"""Label-efficient learning: fused PyTorch kernels, readable methods, repeatable ablations.

The names below are imported when they are first used, so that a command that needs no PyTorch does
not wait for it. ``import lelkern.ops`` registers the ops with PyTorch, as a saved program needs
that calls ``torch.ops.lelkern``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lelkern import nn, optim
    from lelkern.ops import (
        ContrastiveStats,
        CSRGroups,
        MixMatchBatch,
        cutmix,
        ema_update_,
        guess_labels,
        info_nce,
        mixmatch,
        mixup,
        nt_xent,
        project_l1_ball,
        project_l1_ball_,
        project_l1inf_ball,
        project_l1inf_ball_,
        project_simplex,
        project_simplex_,
        prox_group_lasso,
        prox_group_lasso_,
        prox_l1,
        prox_l1_,
        prox_nuclear,
        prox_nuclear_,
        prox_sparse_group_lasso,
        prox_sparse_group_lasso_,
        sample_cutmix_boxes,
        sample_mixup_lambda,
        sharpen,
        sharpen_logits,
        siglip,
        sup_con,
    )

    __version__: str

__all__ = [
    "CSRGroups",
    "ContrastiveStats",
    "MixMatchBatch",
    "__version__",
    "cutmix",
    "ema_update_",
    "guess_labels",
    "info_nce",
    "mixmatch",
    "mixup",
    "nn",
    "nt_xent",
    "optim",
    "project_l1_ball",
    "project_l1_ball_",
    "project_l1inf_ball",
    "project_l1inf_ball_",
    "project_simplex",
    "project_simplex_",
    "prox_group_lasso",
    "prox_group_lasso_",
    "prox_l1",
    "prox_l1_",
    "prox_nuclear",
    "prox_nuclear_",
    "prox_sparse_group_lasso",
    "prox_sparse_group_lasso_",
    "sample_cutmix_boxes",
    "sample_mixup_lambda",
    "sharpen",
    "sharpen_logits",
    "siglip",
    "sup_con",
]


if not TYPE_CHECKING:  # for whom a name that is missing would be of any type

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'lelkern' has no attribute {name!r}")
        from importlib import import_module

        if name == "__version__":
            from importlib.metadata import version

            value: Any = version("lelkern")
        elif name in ("nn", "optim"):
            value = import_module(f"lelkern.{name}")
        else:
            value = getattr(import_module("lelkern.ops"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
