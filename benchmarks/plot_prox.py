"""The times of proximal operators as bars, one panel for each operator and way of writing."""

from bars import Panel

TITLE = "Proximal operators of 4096 × 4096 numbers"
PANELS = (
    Panel("prox l1/l2 rows", "l1/l2 of rows, in place", mode="in place"),
    Panel("prox l1/l2 rows", "l1/l2 of rows, new tensor", mode="new"),
    Panel("prox l1/l2 columns", "l1/l2 of columns, in place", mode="in place"),
    Panel("prox l1/l2 columns", "l1/l2 of columns, new tensor", mode="new"),
    Panel("prox l1/linf random", "l1/l∞ of random rows, in place"),
    Panel("prox l1/linf sparse", "l1/l∞ of sparse rows, in place"),
    Panel("prox l1/l1.5 rows", "l1/l1.5 of rows, in place"),
    Panel("prox l1/l3 rows", "l1/l3 of rows, in place"),
    Panel("prox filters resnet50", "l1/l2 of ResNet-50's filters, in place"),
    Panel("prox sgd resnet50", "SGD step and l1/l2, ResNet-50's filters"),
)
LABELS = {
    "pytorch": "plain PyTorch",
    "pytorch-sort": "plain PyTorch, by a sort",
    "pytorch-bisection": "plain PyTorch, by bisection",
    "pytorch-compiled": "torch.compile",
    "pytorch-foreach": "plain PyTorch, foreach",
    "lelkern-l2": "lelkern, l1/l2",
    "lelkern-apart": "PyTorch's step, lelkern's prox",
    "spams": "SPAMS",
    "bytes": "the bytes, memory that is there",
    "bytes-new": "copy, new memory",
    "bytes-new-2MiB": "copy, new memory, 2 MiB pages",
}
