"""The application that commands are added to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from convmat.cli.options import Language, option
from convmat.terminal.texts import ENGLISH

Function = TypeVar("Function", bound=Callable[..., None])


class Helped:
    """A command whose ``--help`` option is described in the language of the others, and among them."""

    texts = ENGLISH

    def get_help_option(self, ctx: Any) -> Any:
        """The option, which Typer makes when it is first asked for."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help, option.metavar = self.texts("option.help"), ""
            option.rich_help_panel = self.texts("panel.options")
        return option


class Command(Helped, TyperCommand):
    """A command."""


class Group(Helped, TyperGroup):
    """A command that holds others."""


SETTINGS: dict[str, Any] = {
    "cls": Group,
    "rich_markup_mode": "markdown",
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
