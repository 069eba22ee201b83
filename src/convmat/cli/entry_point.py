"""Where the command line begins, and how it ends."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

import typer

from convmat.cli import demo, drawing, layers, models, photographs  # noqa: F401  # commands, in the order of the help
from convmat.cli.application import app
from convmat.cli.telling import telling_in
from convmat.geometry import own_message
from convmat.terminal.texts import ENGLISH, InputError, Texts, take_language


def main() -> None:
    """Run the command line; what is wrong with the input is one line on stderr and exit status 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without ᵀ shows a question mark
    texts = ENGLISH
    try:
        texts, arguments = take_language(sys.argv[1:], os.environ)
        command = typer.main.get_command(app)
        named = [argument for argument in arguments if argument != "--"]
        if named in ([], ["draw"]):
            arguments = [*named, "--help"]
        with telling_in(texts):
            sys.exit(command.main(arguments, prog_name="convmat", standalone_mode=False, obj=texts))
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        print(f"convmat: {_one_line(error, texts)}", file=sys.stderr)
        sys.exit(2)


def _one_line(error: Exception, texts: Texts) -> str:
    """What is wrong, in the language of the texts where it is ours; what others say is passed on."""
    if isinstance(error, InputError):
        message = error.said_in(texts)
    elif isinstance(error, MemoryError) or "alloc_cpu" in str(error) or "calculation overflowed" in str(error):
        message = texts("wrong.memory")
    elif isinstance(error, OSError) and error.filename:
        message = texts("wrong.file", path=error.filename, error=texts.sentence(error.strerror or ""))
    elif (sentence := own_message(error)) is not None and texts.knows(sentence):
        message = texts.sentence(sentence)
    else:
        message = texts("wrong.other", error=str(error) or type(error).__name__)
    return " ".join(message.split())
