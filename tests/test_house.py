"""The house: which folder may import which, through which door, and how large a file may grow.

Read from the syntax trees, so that an import inside a function counts as much as one at the top.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("pipelines", "ui", "training", "performance", "tools")

# Lowest first. A floor may import the floors below it, and its own folder; folders that share a floor know nothing of
# each other. What a name does not say is the folder or the module of that name in pipelines/.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "runs", "phrasing", "files", "machine", "environment"),
    ("catalog", "cluster"),
    ("images", "weights"),
    ("networks",),
    ("upscalers",),
    ("enlarge", "estimates"),
    ("measuring", "batch"),
    ("report",),
    ("cli",),
)
GROUND = FLOORS[0]  # what all may import; these may import each other, in no circle
DOORS = {
    "catalog": "pipelines.catalog.rows",
    "images": "pipelines.images.door",
    "weights": "pipelines.weights.fetch",
    "upscalers": "pipelines.upscalers.loading",
    "measuring": "pipelines.measuring.run",
    "batch": "pipelines.batch.run",
    "report": "pipelines.report.report",
}
OPEN = {*GROUND, "enlarge", "estimates"}  # modules at the top of pipelines/ that anybody may import
LONGEST = 300  # lines of a file, tables of rows apart
TABLES = {"pipelines/catalog/opencv.py", "pipelines/catalog/networks.py", "pipelines/catalog/diffusion.py"}


def modules() -> dict[str, Path]:
    """Every module of the sources by its dotted name."""
    found = {}
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of this project that a module imports, wherever in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known or node.module in known:
                    yield inner if inner in known else node.module


def at_run_time(path: Path) -> ast.Module:
    """The module without what only a type checker reads."""

    class Stripped(ast.NodeTransformer):
        def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
            if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                return node.orelse
            return self.generic_visit(node)

    return ast.fix_missing_locations(Stripped().visit(ast.parse(path.read_text())))


def wing(module: str) -> str:
    """The folder or top module of pipelines that it belongs to; "" for the package itself."""
    return [*module.split("."), ""][1]


def floor(name: str) -> int:
    return next(number for number, names in enumerate(FLOORS) if name in names)


def test_every_module_of_pipelines_has_a_floor() -> None:
    known = {name for names in FLOORS for name in names} | {"", "__main__"}
    assert {wing(name) for name in modules() if name.split(".")[0] == "pipelines"} == known


def test_imports_go_down() -> None:
    known, wrong = modules(), []
    for name, path in known.items():
        if not name.startswith("pipelines.") or name == "pipelines.__main__":
            continue
        own = wing(name)
        for other in imported(name, path, known):
            top, theirs = other.split(".")[0], wing(other)
            if top != "pipelines":
                wrong.append(f"{name} imports {other}")
            elif theirs and (theirs not in GROUND if own in GROUND else theirs != own and floor(theirs) >= floor(own)):
                wrong.append(f"{name} imports {other}, which is not below it")
    assert wrong == []


def test_outside_pipelines_only_doors_are_imported() -> None:
    known, wrong = modules(), []
    for name, path in known.items():
        if name.split(".")[0] not in ("ui", "tools"):
            continue
        for other in imported(name, path, known):
            if not other.startswith("pipelines.") or wing(other) in OPEN or other in DOORS.values():
                continue
            if name == "ui.command" and other == "pipelines.cli.main":
                continue
            wrong.append(f"{name} imports {other}")
    assert wrong == []


def test_nothing_imports_what_is_built_on_it() -> None:
    known, wrong = modules(), []
    allowed = {
        "ui": {"pipelines", "ui"},
        "training": {"pipelines", "training"},
        "tools": {"pipelines", "ui", "tools"},
        "performance": {*SOURCES},
    }
    for name, path in known.items():
        top = name.split(".")[0]
        if top in allowed:
            others = imported(name, path, known)
            wrong += [f"{name} imports {other}" for other in others if other.split(".")[0] not in allowed[top]]
        if top == "training":
            wings = {wing(other) for other in imported(name, path, known) if other.startswith("pipelines")}
            wrong += [f"{name} imports {each}" for each in wings - {"networks", "images", *GROUND, ""}]
    assert wrong == []


def test_no_circle_of_imports() -> None:
    """Not even one that an import inside a function hides; what only types need does not count."""
    known = modules()
    arrows: dict[str, set[str]] = {}
    for name, path in known.items():
        found: set[str] = set()
        for node in ast.walk(at_run_time(path)):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    found |= {inner if inner in known else node.module} & known.keys()
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names} & known.keys()
        arrows[name] = found - {name}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        if name in way:
            pytest.fail(f"a circle: {' -> '.join((*way[way.index(name) :], name))}")
        if name not in done:
            for other in sorted(arrows[name]):
                visit(other, (*way, name))
            done.add(name)

    for name in sorted(arrows):
        visit(name, ())


def test_gradio_is_imported_by_the_page_alone() -> None:
    for name, path in modules().items():
        if name.startswith("pipelines"):
            names = {
                alias.name for node in ast.walk(tree(path)) if isinstance(node, ast.Import) for alias in node.names
            }
            names |= {node.module or "" for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)}
            assert not {each for each in names if each.split(".")[0] == "gradio"}, name


def test_pipelines_is_a_short_list() -> None:
    inside = [path for path in (ROOT / "pipelines").iterdir() if path.name != "__pycache__"]
    assert len([path for path in inside if path.suffix == ".py"]) <= 10
    assert len([path for path in inside if path.is_dir()]) <= 10


def test_no_file_is_longer_than_one_reads_at_a_sitting() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules().values()}
    scripts = ROOT.glob("ui/static/**/*.*")
    lengths |= {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in scripts}
    assert {name: length for name, length in lengths.items() if length > LONGEST and name not in TABLES} == {}
