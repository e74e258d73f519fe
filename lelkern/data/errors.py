"""The one error of this package."""


class DataError(ValueError):
    """The data cannot be used; one line that names the file, the class or the folder."""
