"""What every study can be told, whatever its methods are."""

from lelkern.config import Config
from lelkern.data.config import DataConfig
from lelkern.runtime import RuntimeConfig


class SharedConfig(Config):
    """What a study can be told besides the settings of its methods.

    Attributes:
        data: what trials learn from and are tested on, and how many labels they see.
        runtime: where and how precisely trials compute.
    """

    data: DataConfig = DataConfig()
    runtime: RuntimeConfig = RuntimeConfig()
