"""The house: which room may import which. The table is a map to read, and the tests hold the code to it."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

import convmat
from tests.scripts import loaded

PACKAGE = Path(convmat.__file__).parent

# From the ground up: a room imports rooms below it only, and of those only the ones named.
ROOMS = {
    "geometry": "",
    "tensors": "geometry",
    "matrices": "geometry tensors",
    "kernel": "geometry tensors",
    "methods": "geometry tensors matrices kernel",
    "planning": "geometry tensors kernel methods",
    "checking": "geometry tensors kernel methods planning",
    "functional": "geometry tensors planning",
    "upsampling": "geometry tensors functional",
    "operators": "geometry tensors matrices planning",
    "nn": "geometry tensors planning functional operators",
    "models": "geometry tensors planning checking operators nn",
    "progress": "",
    "draw": "geometry tensors matrices upsampling progress",
    "explorer": "geometry tensors",
    "terminal": "geometry tensors matrices methods planning checking nn models operators upsampling progress draw",
    "demo": "geometry tensors matrices methods planning checking functional upsampling progress draw explorer terminal",
    "caches": "",  # it names modules, and imports none
    "cli": "geometry kernel planning explorer terminal demo",  # it puts what the kernel tells into words
}
FACES = {"__init__", "__main__"}  # they show what is public, and may import everything
MOST_ROOMS = 22
# Nobody outside imports anything but the door of the room.
DOORS = {"kernel": "convmat.kernel.computing"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


# A word for two things: a layer, and what pickles hold of a convolution that folds what follows it.
SAME_NAMES = {"Fold"}


@cache
def imports() -> dict[Path, list[str]]:
    """The modules of ours that each file imports, wherever in the file."""
    found = defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: write imports in full"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            found[path] += [name for name in names if name.split(".")[0] == "convmat"]
    return dict(found)


def test_every_room_is_on_the_map():
    there = {room_of(path) for path in PACKAGE.rglob("*.py")}
    assert there == {*ROOMS, *FACES}
    assert len(there) <= MOST_ROOMS


def test_the_map_goes_up():
    below: set[str] = set()
    for room, others in ROOMS.items():
        assert set(others.split()) <= below, room
        below.add(room)


def test_no_folder_hides_a_public_function():
    functions = {name for name in convmat.__all__ if callable(getattr(convmat, name))}
    assert not functions & {*ROOMS}


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_between_rooms(room):
    allowed = {room, *ROOMS[room].split()}
    for path, names in imports().items():
        for name in names if room_of(path) == room else []:
            target = name.partition(".")[2].partition(".")[0]
            if target in ROOMS:  # else a public name, as the version
                assert target in allowed, f"{path.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize("room", DOORS)
def test_doors(room):
    for path, names in imports().items():
        for name in names if room_of(path) != room else []:
            if name.startswith(f"convmat.{room}"):
                assert name.startswith(DOORS[room]) or f"convmat.{room}.{name.rpartition('.')[2]}" == DOORS[room], (
                    f"{path.relative_to(PACKAGE)} imports {name}"
                )


def module_of(path: Path) -> str:
    parts = ["convmat", *path.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def files_of(name: str, modules: set[str]) -> str:
    return name if name in modules else name.rpartition(".")[0]


def test_no_circles_of_imports():
    """Nor within a room, nor through imports inside of functions."""
    modules = {module_of(path) for path in imports()} | {module_of(path) for path in PACKAGE.rglob("*.py")}
    graph = {
        module_of(path): {files_of(name, modules) for name in names} - {module_of(path)}
        for path, names in imports().items()
        if room_of(path) not in FACES and path.name != "__init__.py"
    }
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join((*way[way.index(module) :], module))
        if module not in done:
            for target in graph.get(module, ()):
                visit(target, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_one_word_has_one_meaning():
    """No two files define a class of the same name, but for classes that no other file sees."""
    files = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                files[node.name].add(path)
    assert {name for name, found in files.items() if len(found) > 1} == SAME_NAMES


def test_importing_loads_what_is_needed_and_no_more():
    ours = {name for name in loaded()["import convmat"] if name.startswith("convmat")}
    later = (
        "cli",
        "terminal",
        "demo",
        "progress",
        "checking",
        "draw",
        "explorer",
        "operators",
        "models",
        "upsampling",
        "geometry.boards",
        "kernel.program",
        "kernel.microkernel",
        "kernel.stages",
        "kernel.tiling.rows",
    )
    for part in later:
        assert not [name for name in ours if name.startswith(f"convmat.{part}")], part
