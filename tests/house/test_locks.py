"""The lock files: every release exact and hashed, within what the requirements say, and what runs here."""

import re
from importlib.metadata import distributions

import pytest
from django.conf import settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = settings.BASE_DIR
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
LOCKS = ("requirements.lock", "requirements-dev.lock")


def locked(name):
    """Return the pins of a lock file: name to version and number of hashes."""
    pins = {}
    for block in (HERE / name).read_text().replace("\\\n", " ").splitlines():
        head, *hashes = re.split(r"\s+(?=--hash)", block.strip())
        requirement = Requirement(head)
        [pin] = requirement.specifier
        assert pin.operator == "==", head
        assert all(HASH.fullmatch(one) for one in hashes), head
        pins[canonicalize_name(requirement.name)] = (pin.version, len(hashes))
    return pins


def wanted(name):
    """Return what a list of requirements asks for, those of the lists it takes in as well."""
    found = []
    for line in (HERE / name).read_text().splitlines():
        if line.startswith("-r "):
            found += wanted(line[3:])
        elif line and not line.startswith("#"):
            found.append(Requirement(line))
    return found


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_the_hashes_of_a_release_for_more_than_one_machine(lock):
    assert {name: count for name, (_, count) in locked(lock).items() if count < 1} == {}
    # Compiled ones have a wheel for each processor and each Python.
    assert locked(lock)["psycopg-binary"][1] > 10


@pytest.mark.parametrize(("lists", "lock"), [("requirements.txt", LOCKS[0]), ("requirements-dev.txt", LOCKS[1])])
def test_the_pins_are_within_what_is_asked_for(lists, lock):
    pins = locked(lock)

    wrong = [str(one) for one in wanted(lists) if pins[canonicalize_name(one.name)][0] not in one.specifier]

    assert wrong == [], "run make lock"


def test_what_runs_is_what_is_tested():
    runtime, development = (locked(lock) for lock in LOCKS)

    assert {name: pin for name, pin in runtime.items() if development.get(name) != pin} == {}


def test_what_is_installed_here_is_what_is_locked():
    pins = locked(LOCKS[1])
    here = {canonicalize_name(one.metadata["Name"]): one.version for one in distributions()}

    assert {name: version for name, version in here.items() if name in pins and pins[name][0] != version} == {}


def test_setup_installs_by_hash_and_nothing_else():
    makefile = (HERE / "Makefile").read_text()

    assert "--require-hashes" in makefile
    installs = re.findall(r"^\t@\$\(PIP\) (.*) >&2$", makefile, re.M)
    assert installs == [f"-r {lock}" for lock in LOCKS]
    assert re.findall(r"pip install", makefile) == ["pip install"]
