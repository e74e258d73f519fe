"""The one error of this package."""

from lelkern.errors import UserError


class DataError(UserError):
    """The data cannot be used; one line that names the file, the class or the folder."""
