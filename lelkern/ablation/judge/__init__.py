"""What the results of a study say about the claims of its slide: :mod:`~.verdict`.

A study that is read or listed checks its claims against its grid, and computes nothing. So claims,
and what they are written in (:mod:`~.sample`, :mod:`~.path`, :mod:`~.statement`,
:mod:`~.evidence`), import NumPy and the tests (:mod:`~.paired`, :mod:`~.page`) where they compute.
"""
