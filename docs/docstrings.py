"""Docstrings as MkDocs wants them: roles become links, bare doctests code, and shared arguments single ones."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:func|class|meth|mod):`([\w.]+)`")
_DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
_SHARED = re.compile(r"^( +)(\w+(?:, \w+)+): (.*)$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrite the docstrings of a package before they are parsed."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Called once, when all of its modules are known."""
        _rewrite(pkg)


def _rewrite(obj: griffe.Object) -> None:
    if obj.docstring:
        text = _ROLE.sub(lambda role: _link(role[1], obj), obj.docstring.value)
        text = _DOCTEST.sub(lambda lines: f"```pycon\n{lines[0]}\n```", text)
        obj.docstring.value = _SHARED.sub(_one_by_one, text)
    for member in obj.members.values():
        if not member.is_alias:
            _rewrite(member)


def _link(name: str, obj: griffe.Object) -> str:
    """A link to what a role names: a member of the same class, else a public name, else one of the same module."""
    short = name.removeprefix("convmat.")
    first, *rest = short.split(".")
    owner = obj if obj.is_class else obj.parent
    public = obj.package.members.get(first)
    if name.startswith("torch.") or (public and public.is_module and not rest):
        return f"`{name}`"
    if owner and owner.is_class and first in owner.members:
        where = f"{owner.path}.{first}"
    else:
        where = f"convmat.{first}" if public else obj.module.resolve(first)
    return f"[`{short}`][{'.'.join([where, *rest])}]"


def _one_by_one(line: re.Match[str]) -> str:
    """``a, b: text`` as two arguments; only the first line of the text is repeated."""
    return "\n".join(f"{line[1]}{name}: {line[3]}" for name in line[2].split(", "))
