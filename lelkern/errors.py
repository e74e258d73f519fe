"""Errors that whoever called can mend, and which the command line shows as one line."""


class UserError(ValueError):
    """Something that was given is wrong; the message is one line that names it."""
