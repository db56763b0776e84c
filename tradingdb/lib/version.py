"""Which version of the software this is: the one that pyproject.toml names."""

import tomllib
from pathlib import Path

VERSION = str(tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["version"])
