"""The house: rooms import downwards, no module does too much, and each has the test it promises."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONVERT = ROOT / "convert"
MOST_LINES = 300
ORDER = (
    "__main__",
    "cli",
    "",  # the package itself, which gives programs the public names
    "public",
    "api",
    "compare",
    "download",
    "tokenizer",
    "formats",
    "reports",
    "inference",
    "model",
    "checkpoint",
    "tensors",
    "io",
    "display",
    "errors",
    "quoting",
    "progress",
)
"""The rooms, top first. A room imports only what stands below it."""
MODULES = {
    ".".join(path.relative_to(CONVERT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(CONVERT.rglob("*.py"))
}
MODULES[""] = MODULES.pop("__init__")


def imports(module: str) -> set[str]:
    """Return what a module imports of the package, type-only and late imports included."""
    path = MODULES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    package = [part for part in package if part]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {name for name in names if name.split(".")[0] == "gpt2_convert"}
        elif isinstance(node, ast.ImportFrom):
            parts = package[: len(package) - node.level + 1] if node.level else []
            target = [*parts, *(node.module or "").split(".")]
            if node.level == 0 and target[0] != "gpt2_convert":
                continue
            base = ".".join(part for part in target if part and part != "gpt2_convert")
            for alias in node.names:
                below = f"{base}.{alias.name}".removeprefix(".")
                found.add(below if below in MODULES else base)
    return {"" if name == "gpt2_convert" else name.removeprefix("gpt2_convert.") for name in found}


def room(module: str) -> str:
    return module.split(".")[0]


def test_every_room_is_in_the_order() -> None:
    assert {room(module) for module in MODULES} == set(ORDER)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module or "gpt2_convert")
def test_a_room_imports_only_rooms_below_it(module: str) -> None:
    floor = ORDER.index(room(module))
    above = {
        name
        for name in imports(module)
        if ORDER.index(room(name)) < floor and not (room(module) == "public" and not name)
    }
    assert not above, f"{module} imports {sorted(above)}, which stand above it"


def test_the_rule_sees_the_imports_that_are_there() -> None:
    # Of a type alone, within a function, and of a whole module.
    assert "reports.summary" in imports("reports.verification")
    assert "formats.tensorflow.reader" in imports("formats.readers")
    assert "reports.text" in imports("cli.commands.verify") | imports("cli.commands.inspect")


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {module: imports(module) & MODULES.keys() - {module} for module in MODULES}
    while free := [module for module, needed in left.items() if not needed & left.keys()]:
        for module in free:
            del left[module]
    assert not left, f"in circles, or above one: {sorted(left)}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module or "gpt2_convert")
def test_a_module_is_short(module: str) -> None:
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_little_lies_outside_of_the_rooms() -> None:
    assert len(list(CONVERT.glob("*.py"))) <= 6
    assert len(list((ROOT / "tests").glob("*.py"))) <= 5


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module or "gpt2_convert")
def test_a_module_has_the_test_that_its_name_promises(module: str) -> None:
    path = MODULES[module].relative_to(CONVERT)
    if path.name == "__init__.py" and module != "cli":
        return
    name = {"__main__": "public", "cli": "main"}.get(module, path.stem)
    folder = path.parent if module != "cli" else Path("cli")
    assert (ROOT / "tests" / folder / f"test_{name}.py").is_file()


def test_no_text_of_the_library_spells_an_option_as_the_command_line_does() -> None:
    for module, path in MODULES.items():
        if room(module) in ("cli", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                _, dashes, after = node.value.partition("--")
                assert not (dashes and after[:1].isalpha()), f"{path}:{node.lineno}: {node.value}"
