"""Errors that callers tell from others: what a user can mend, and a training that diverged."""


class UserError(ValueError):
    """Something that was given is wrong; the message is one line that names it."""


class NotFiniteError(ValueError):
    """Something computed is no finite number, as where a training has diverged.

    A trial in which it is raised after the first step has diverged, which is a result.
    """
