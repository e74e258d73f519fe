"""The times of moving averages as bars, one panel for each model and pair of dtypes."""

from bars import Panel

TITLE = "One update of a moving average"
PANELS = (
    Panel("ema resnet50", "ResNet-50, float32"),
    Panel("ema resnet50", "ResNet-50, float32 of bfloat16", "float32-of-bfloat16"),
    Panel("ema resnet50", "ResNet-50, bfloat16", "bfloat16"),
    Panel("ema small", "160 tensors of 64, float32"),
)
LABELS = {
    "lelkern": "lelkern.ema_update_",
    "lelkern-stochastic": "lelkern, stochastic rounding",
    "pytorch-foreach": "torch._foreach_*",
    "pytorch-loop": "loop: mul_, add_",
    "AveragedModel": "torch AveragedModel",
    "timm": "timm ModelEmaV3",
    "bytes": "limit: the bytes alone",
}
