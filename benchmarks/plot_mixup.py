"""The times of mixing and guesses as bars, one panel for each op and size."""

from bars import Panel

TITLE = "Mixing and guesses"
PANELS = (
    Panel("mixmatch", "mixmatch, B = 256, K = 2", size=256),
    Panel("mixmatch", "mixmatch, B = 1,024, K = 2", size=1024),
    Panel("mixup", "mixup, N = 256", size=256),
    Panel("mixup", "mixup, N = 1,024", size=1024),
    Panel("mixup uint8", "mixup of uint8, N = 256", "float32-of-uint8", size=256),
    Panel("cutmix", "cutmix, N = 256", size=256),
    Panel("guess_labels K=2", "guess_labels, K = 2, 256 × 1,000", size=256),
    Panel("guess_labels K=4", "guess_labels, K = 4, 1,024 × 1,000", size=1024),
)
LABELS = {
    "lelkern-one-box": "lelkern, one box for all",
    "pytorch": "plain PyTorch",
    "pytorch-compiled": "torch.compile",
    "reference": "lelkern, reference",
    "bytes": "copy, memory that is there",
    "bytes-new": "copy, new memory",
    "bytes-new-2MiB": "copy, new memory, 2 MiB pages",
}
