"""Studies: what is varied, the trials that takes, what they say of a claim, and the plot of it."""
