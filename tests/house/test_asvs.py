"""The checklist of security: every number has its row, what it names exists, and little is open."""

import re

from django.conf import settings

PAGE = settings.BASE_DIR / "docs" / "security" / "asvs.md"
NUMBERS = settings.BASE_DIR / "tests" / "house" / "data" / "asvs_5_0.txt"
ROW = re.compile(r"^\| (\d+\.\d+\.\d+) \| ([12]) \| (met|n/a|open) \| ([^|]+) \| ([^|]+) \|$", re.M)
MOST_OPEN = 15


def rows():
    found = [match.groups() for match in ROW.finditer(PAGE.read_text())]
    assert len(found) == len({row[0] for row in found}), "a number stands twice"
    return found


def test_every_requirement_of_levels_one_and_two_has_a_row():
    asked = [tuple(line.split()) for line in NUMBERS.read_text().splitlines()]

    assert len(asked) == 253
    assert [(number, level) for number, level, *_ in rows()] == asked


def test_what_is_met_names_files_that_are_there():
    wrong = []
    for number, _, state, _, where in rows():
        files = re.findall(r"`([^`]+)`", where)
        wrong += [(number, file) for file in files if not (settings.BASE_DIR / file).is_file()]
        if state == "met" and not files:
            wrong.append((number, "names nothing"))
        if state != "met" and len(where) < 4:
            wrong.append((number, "has no reason"))

    assert wrong == []


def test_little_is_open():
    states = [state for _, _, state, *_ in rows()]

    assert states.count("open") <= MOST_OPEN
    told = f"{states.count('met')} met, {states.count('n/a')} not applicable, {states.count('open')} open"
    assert told in PAGE.read_text()


def test_links_of_the_security_pages_lead_somewhere():
    for page in (settings.BASE_DIR / "docs" / "security").glob("*.md"):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
