"""The smallest settings with which a method runs, found by asking the method itself."""

from lelkern.config import Config, ConfigError, merge, nest


def integers(config, prefix=""):
    """The dotted keys and values of the numbers of things in a configuration."""
    for name in type(config).model_fields:
        value = getattr(config, name)
        if type(value) is int:
            yield prefix + name, value
        elif isinstance(value, Config):
            yield from integers(value, f"{prefix}{name}.")


def changed(method, config, key, value):
    """The configuration with another value, or None if there is no such configuration."""
    try:
        plain = merge(config.model_dump(mode="json"), nest(key, value))
        return method.config.parse(plain, "test")
    except ConfigError:
        return None


def tiny(method, data):
    """The default configuration with every number of things as small as the method takes it.

    At least 4: networks of two units tend to give the same for all images.
    """
    config = method.config()
    for key, default in integers(config):
        for value in (4, 8, 16):
            if value < default and (smaller := changed(method, config, key, value)) is not None:
                config = smaller
                break
    method.check(config, data)  # the tiny data is large enough for the tiny settings
    return config


def grown(config):
    """Configurations in each of which one number of things is large, with its key.

    40: more than there are training samples in the tiny data.
    """
    for key, _ in integers(config):
        try:
            plain = merge(config.model_dump(mode="json"), nest(key, 40))
            yield key, type(config).parse(plain, "test")
        except ConfigError:
            continue
