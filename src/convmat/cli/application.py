"""The application that commands are added to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from convmat.cli.help import help_of
from convmat.cli.options import Language, option

Function = TypeVar("Function", bound=Callable[..., None])


class Helped:
    """A command that prints its help in the language of its context."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print it, and leave nothing to the formatter, as Typer does."""
        Console().print(help_of(self, ctx, ctx.obj))


class Command(Helped, TyperCommand):
    """A command."""


class Group(Helped, TyperGroup):
    """A command that holds others."""


SETTINGS: dict[str, Any] = {
    "cls": Group,
    "pretty_exceptions_enable": False,
    "add_completion": False,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
app = typer.Typer(**SETTINGS)


def command(key: str) -> Callable[[Function], Function]:
    """Add a command to the application, under a key of its help."""
    return app.command(key, cls=Command, help=f"help.{key}", rich_help_panel="panel.commands")


def _version(wanted: bool) -> None:
    if wanted:
        from convmat import __version__

        typer.echo(f"convmat {__version__}")
        raise typer.Exit


@app.callback(help="help")
def _options(
    version: Annotated[bool, option("version", "--version", callback=_version, is_eager=True)] = False,
    lang: Language = None,
) -> None:
    """See that a convolution is a matrix, and a transposed convolution is that matrix transposed."""
