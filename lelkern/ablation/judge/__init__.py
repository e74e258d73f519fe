"""What the results of a study say about the claims of its slide: :mod:`~.verdict`."""
