"""How large the largest tensor is that a computation makes."""

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LargestTensor(TorchDispatchMode):
    """Measures inside a ``with`` block.

    Attributes:
        numel: numbers in the largest tensor so far.
    """

    def __init__(self, floating: bool = False) -> None:
        """Begin with none, and look at floating-point tensors only if asked to."""
        super().__init__()
        self.numel = 0
        self._floating = floating

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        result = function(*args, **(kwargs or {}))
        tensors = [x for x in tree_leaves(result) if isinstance(x, Tensor)]
        sizes = [x.numel() for x in tensors if x.is_floating_point() or not self._floating]
        self.numel = max(self.numel, *sizes, 0)
        return result
