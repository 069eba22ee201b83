"""The one error of wrong sizes and arguments."""


class GeometryError(ValueError, RuntimeError):
    """What every wrong size or argument raises.

    The message names the argument, shows its value, states the rule and, where there is one, what would do instead.
    It is a ``RuntimeError`` as well because that is what PyTorch's own functions raise.
    """

    __module__ = "convmat"  # where users find it
