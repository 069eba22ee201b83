"""The application that commands are added to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from convmat.cli.help import help_of
from convmat.cli.options import Language, option
from convmat.cli.usage import unknown_command, usage_error
from convmat.terminal.texts import InputError

Function = TypeVar("Function", bound=Callable[..., None])


class Localized:
    """A command that prints its help, and says what is wrong with its call, in the language of its context."""

    get_params: Callable[[Any], list[Any]]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments."""
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc]
        except Exception as error:
            raise usage_error(error, self.get_params(ctx)) from None

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print it, and leave nothing to the formatter, as Typer does."""
        Console().print(help_of(self, ctx, ctx.obj))


class Command(Localized, TyperCommand):
    """A command."""

    allow_extra_args = True  # else Typer complains of them

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments, all of them."""
        others = super().parse_args(ctx, args)
        if others:
            raise InputError("usage.extra", arguments=" ".join(others))
        return others


class Group(Localized, TyperGroup):
    """A command that holds others."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is meant."""
        if self.get_command(ctx, args[0]) is None:
            raise unknown_command(args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


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
