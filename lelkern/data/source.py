"""Where a trial's data comes from."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lelkern.config import ConfigError
from lelkern.data.budget import check_budget
from lelkern.data.config import DataConfig
from lelkern.data.kind import Data
from lelkern.data.loading import DEFAULT_ROOT, find
from lelkern.data.registry import DataSet
from lelkern.torch_settings import usual_settings


@dataclass(frozen=True)
class DataSource:
    """A data configuration and where this machine keeps the data.

    Attributes:
        config: what decides the data.
        root: folder of a named data set's files; by default ``data``.
        download: whether a missing data set may be fetched.
    """

    config: DataConfig
    root: Path | None = None
    download: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the reader, which may not travel to another process: it is found again there.

        The fingerprint stays, so that what one process wrote under it is there for the other.
        """
        return {key: value for key, value in self.__dict__.items() if key != "_found"}

    @property
    def kind(self) -> type[Data]:
        """The kind of data, known before it is read.

        Raises:
            DataError: the data is unknown or missing.
            ConfigError: an option means nothing for it.
        """
        return self._found.kind

    @usual_settings()
    def load(self) -> Data:
        """Read or generate the data, with all of its labels.

        Raises:
            DataError: the data is unknown, missing or unusable.
            ConfigError: an option means nothing for it, or there are fewer labels than the label
                budget wants.
        """
        options = self.config.reading_options()
        data = self._found.load(options, self.root or DEFAULT_ROOT, self.download)
        data = data.prepare(self.config)
        check_budget(data, self.config)
        return data

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when the data does, and not with the label budget.

        They cover the version of what reads or generates the data, the options that decide it, and
        the content of files that nothing else checks; the data is not decoded for it.

        Raises:
            DataError: the data is unknown or missing.
            ConfigError: an option means nothing for it.
        """
        return self._found.identity(self.config.reading_options(), self.root or DEFAULT_ROOT)

    @cached_property
    def _found(self) -> DataSet:
        config = self.config
        found = find(config.name, config.target, config.task)
        # Seeds are never wrong: where nothing is drawn, every seed gives the same data.
        fine = found.options | {"name", "seed", "redraw"}
        for key in sorted(DataConfig.model_fields.keys() - fine):
            value = getattr(config, key)
            if value != DataConfig.model_fields[key].default:
                usable = ", ".join(sorted(found.options | {"seed"}))
                raise ConfigError(
                    f"data.{key}: means nothing for '{config.name}' ({found.kind.kind}), "
                    f"got {value!r}; it takes {usable}"
                )
        return found
