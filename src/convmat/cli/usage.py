"""What is wrong with how a command is called, in our words: Typer's own are in English alone."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from convmat.terminal.texts import InputError


def usage_error(error: Any, parameters: Iterable[Any]) -> Exception:
    """An error of Typer's as one of ours; any other as it is.

    Args:
        error: by the name of its class, for which package defines it depends on Typer's version.
        parameters: of the command.
    """
    match type(error).__name__:
        case "MissingParameter" if error.param.param_type_name == "option":
            return InputError("usage.missing_option", name=max(error.param.opts, key=len))
        case "MissingParameter":
            return InputError("usage.missing_argument", name=error.param.metavar)
        case "NoSuchOption":
            return _unknown("usage.no_option", "usage.no_option_near", error.option_name, error.possibilities or ())
        case "BadOptionUsage":
            name = error.option_name
            takes_a_value = any(name in parameter.opts and parameter.metavar for parameter in parameters)
            return InputError("usage.value_missing" if takes_a_value else "usage.value_unwanted", name=name)
    found: Exception = error
    return found


def unknown_command(name: str, known: Iterable[str]) -> InputError:
    """That there is no such command, and which is called nearly so."""
    return _unknown("usage.no_command", "usage.no_command_near", name, get_close_matches(name, known))


def _unknown(key: str, key_near: str, name: str, near: Iterable[str]) -> InputError:
    listed = ", ".join(sorted(near))
    return InputError(key_near, name=name, near=listed) if listed else InputError(key, name=name)
