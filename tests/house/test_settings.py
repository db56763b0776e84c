"""Every environment variable that is read is documented."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from tradingdb.management.commands.settings_docs import PAGE, table

# What the operating system and the tools give; nobody sets these for us.
GIVEN = {"PATH", "HOME", "CI"}
# Programs beside the product, which read the variables of their own tools.
OUTSIDE = {".venv", "node_modules", "tests", "bench", ".git"}


def sources() -> Iterator[Path]:
    """Every Python file of the product."""
    for file in settings.BASE_DIR.rglob("*.py"):
        if not OUTSIDE & set(file.relative_to(settings.BASE_DIR).parts):
            yield file


def names_read(tree: ast.AST) -> set[str]:
    """Return the variables a module reads: environ["X"], environ.get("X"), helper(environ, "X"), env.text("X", …)."""
    found = set()
    for node in ast.walk(tree):
        texts: list[ast.expr] = []
        if isinstance(node, ast.Subscript) and "environ" in ast.unparse(node.value):
            texts = [node.slice]
        elif isinstance(node, ast.Call) and "environ" in ast.unparse(node.func) + ast.unparse(node.args[:1]):
            texts = node.args
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith("env."):
            texts = node.args[:1]
        constants = {each.value for each in texts if isinstance(each, ast.Constant)}
        found |= {text for text in constants if isinstance(text, str) and re.fullmatch(r"[A-Z][A-Z0-9_]+", text)}
    return found


def documented() -> dict[str, str]:
    """Return name and meaning of every line of the page."""
    lines = re.findall(r"^\| `(\w+)` \| [^|]* \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return dict(lines)


def test_every_variable_that_is_read_is_on_the_page():
    read = set().union(*(names_read(ast.parse(file.read_text())) for file in sources()))

    assert {"DATABASE_URL", "WORKERS", "SPEED", "PERMIT_SECONDS"} <= read
    assert read - GIVEN - set(documented()) == set()


def test_the_page_says_what_the_settings_say():
    assert documented() == table(), "run manage.py settings_docs with no variable set"


def test_no_default_names_a_place_on_this_machine():
    assert str(settings.BASE_DIR) not in PAGE.read_text()
