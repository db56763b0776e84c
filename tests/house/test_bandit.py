"""What the scanner of the source may not complain about has its reason beside it."""

import io
import re
import tokenize

from django.conf import settings

HERE = settings.BASE_DIR
FOLDERS = ("accounts", "analytics", "audit", "bots", "config_app", "demo", "jobs", "marketdata", "notifications",
           "tradingdb", "tradingdb_client")  # fmt: skip
# Each names the one rule it is about, and a reason stands before it, or at the head of the file for all its queries.
FORM = re.compile(r"# (?:noqa: S\d+ )?(?:\(?(?P<reason>[^#]{6,}?)\)?  )?# nosec B\d{3}|# nosec B\d{3}")
HEAD = re.compile(r"^# ruff: noqa: S608 \(.{10,}\)$", re.M)


def test_each_exception_names_one_rule_and_says_why():
    wrong, seen = [], 0
    for path in (path for folder in FOLDERS for path in (HERE / folder).rglob("*.py")):
        text = path.read_text()
        if "nosec" not in text:
            continue
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT and "nosec" in token.string:
                seen += 1
                match = FORM.fullmatch(token.string)
                if match is None or not (match["reason"] or HEAD.search(text)):
                    wrong.append(f"{path.relative_to(HERE)}:{token.start[0]} {token.string}")

    assert wrong == []
    assert seen > 50
