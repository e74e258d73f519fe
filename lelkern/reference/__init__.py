"""Every op again in plain PyTorch: the specification, the fallback, and what tests compare."""
