"""The ways in which the contrastive kernels multiply embeddings, for the tests of all losses."""

import torch

# Of embeddings, as how many numbers tensor cores multiply each, and what is rounded to for that.
PATHS = {
    "float32": (torch.float32, 0, torch.float32),
    "bfloat16": (torch.bfloat16, 1, torch.bfloat16),
    "float16": (torch.float16, 1, torch.float16),
    "float32 as two bfloat16": (torch.float32, 2, torch.float32),
    "float32 as bfloat16": (torch.float32, 1, torch.bfloat16),
    "float64": (torch.float64, 0, torch.float64),
    "bfloat16 in float32": (torch.bfloat16, 0, torch.bfloat16),
    "float16 in float32": (torch.float16, 0, torch.float16),
}
MAIN_PATHS = ["float32", "bfloat16", "float16", "float32 as two bfloat16"]
# Two bfloat16 numbers are a number to 2^-17 of it, and of a product the smallest of four, at most
# 2^-16 of it, is left out.
TWO_TERMS = 2**-15
