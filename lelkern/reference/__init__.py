"""Every op in plain PyTorch: the specification, and the fallback."""
