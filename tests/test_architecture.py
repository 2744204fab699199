"""The house keeps its order: floors, no torch upstairs, files that one reads in one go, one home for each number."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "schematic").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def imports(file: Path, top_only: bool) -> set[str]:
    """The modules that a file imports, all of them or only when it is itself imported (not inside a function)."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(file.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found.update(a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if not (top_only and (isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or typing_only)):
            waiting.extend(ast.iter_child_nodes(node))
    return found


@pytest.mark.parametrize("module", ["schematic", "schematic.cli.main"])
def test_importing_the_package_or_the_command_line_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(sys.modules))"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    heavy = {"torch", "pyro", "networkx", "numpy", "ziamath", "rich", "graphviz"} & set(seen.split())
    assert not heavy


def test_torch_stays_out_of_the_front_end() -> None:
    for file in FILES:
        room = file.relative_to(ROOT / "schematic").parts[0]
        if room not in ("nets", "runtime", "proof", "audit"):
            assert not {"torch", "pyro"} & {m.split(".")[0] for m in imports(file, top_only=False)}, file


def test_networkx_is_imported_only_where_it_is_used() -> None:
    for file in FILES:
        assert "networkx" not in {m.split(".")[0] for m in imports(file, top_only=True)}, file


def packages(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=;\[ ]", line)[0] for line in requirements}


MODULES = {"pyro-ppl": "pyro", "pillow": "PIL"}
NEEDED = packages(PROJECT["project"]["dependencies"])
EXTRAS = PROJECT["project"]["optional-dependencies"]
TOOLS, ASKED_FOR = packages(EXTRAS["test"]), packages(EXTRAS["images"] + EXTRAS["tensorboard"])
PEERS = packages(EXTRAS["bench"])  # of benchmarks


def modules(names: set[str]) -> set[str]:
    return {MODULES.get(n, n.replace("-", "_")) for n in names}


def test_every_import_is_a_dependency() -> None:
    """What a file imports is of Python, of ours, or named in pyproject.toml: for tests with the test extra."""
    specimens = {"correct", "defects"}  # scripts as people write them, which the audit reads
    tests = [f for f in sorted((ROOT / "tests").rglob("*.py")) if f.parent.name not in specimens]
    tests += sorted((ROOT / "benchmarks").rglob("*.py"))
    ours = {"schematic", "tests", "benchmarks"} | set(sys.stdlib_module_names)
    own = {f.stem for f in tests}
    tools = modules(NEEDED | TOOLS | PEERS) | ours | own
    for files, known in ((FILES, modules(NEEDED | ASKED_FOR) | ours), (tests, tools)):
        used = {m.split(".")[0]: str(file) for file in files for m in imports(file, top_only=False)}
        assert not {m: f for m, f in used.items() if m not in known}


def test_every_dependency_is_used_and_pinned() -> None:
    used = {m.split(".")[0] for file in FILES for m in imports(file, top_only=False)}
    emitted = {"pyro"}  # imported by the programs that are emitted
    assert modules(NEEDED) - emitted <= used
    pinned = packages([line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line])
    assert pinned == NEEDED | TOOLS


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_a_file_is_read_in_one_go(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 420


def test_every_room_has_its_floor_and_its_paragraph() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {f.parent.name for f in FILES if f.parent.parent == ROOT / "schematic"}
    layers = " | ".join(PROJECT["tool"]["importlinter"]["contracts"][0]["layers"])
    assert not [room for room in rooms if f"**{room}**" not in page or f"schematic.{room}" not in layers]


def test_no_path_of_a_machine_is_in_the_tree() -> None:
    for folder in ("schematic", "docs", "examples", "grammars", "tests"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and file.suffix in (".py", ".md", ".sg", ".lark", ".svg") and file != Path(__file__):
                assert not re.search(r"/(work|home|root|opt|Users)/\w", file.read_text(errors="replace")), file
