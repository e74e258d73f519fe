"""What the fork server imports once, so that a worker starts in milliseconds instead of seconds.

The process that starts workers does not import it, for it has no use for it.
"""

import sklearn.linear_model  # noqa: F401
import torch

from lelkern.ablation.run.own_modules import installed_packages
from lelkern.methods.installed import installed

# They are part of what a trial is.
installed_packages()
installed()

# The first optimiser of a process imports torch._dynamo, which takes longer than a small trial.
torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
