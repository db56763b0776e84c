"""What the answers say to browsers, without a browser: the policy of every page, and no inline script or style."""

import base64
import hashlib
import os
import re
from html.parser import HTMLParser

import pytest
from django.conf import settings
from servestatic.middleware import ServeStaticMiddleware

from tests.access.test_browser_pages import pages, some
from tradingdb.settings.unfold import THEME_STYLE

DATA = ("application/json", "application/ld+json")


class Inline(HTMLParser):
    """Collects what a strict policy stops: scripts and styles in the page, handlers, javascript: links."""

    def __init__(self):
        super().__init__()
        self.found, self.styles, self._in = [], [], None

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag == "script" and "src" not in values and values.get("type") not in DATA:
            self.found.append(f"<script> {values}")
        if tag == "style":
            self._in = ""
        for name, value in attributes:
            if re.fullmatch(r"on[a-z]+|style|srcdoc", name) or (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"<{tag} {name}={value!r}>")

    def handle_data(self, data):
        if self._in is not None:
            self._in += data

    def handle_endtag(self, tag):
        if tag == "style" and self._in is not None:
            self.styles.append(self._in)
            self._in = None


def hash_of(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def directives(answer):
    policy = answer["Content-Security-Policy"]
    return {name: words for name, *words in (part.split() for part in policy.split(";"))}


@pytest.mark.django_db
def test_no_page_has_an_inline_script_or_style_and_every_page_has_the_policy(admin, house, rf):
    house.request = rf.get("/admin/")
    house.request.user = admin.user
    wrong, seen = [], 0

    found = pages(house)
    for address in found if os.environ.get("PAGES") == "all" else {*some(found), *found[::6]}:
        answer = admin.get(address, follow=True)
        html = answer.content.decode() if not answer.streaming else ""
        if "html" not in answer["Content-Type"]:
            continue
        seen += 1
        page = Inline()
        page.feed(html)
        rules = directives(answer)
        allowed = rules["script-src"] + rules["style-src"]
        wrong += [(address, one) for one in page.found]
        wrong += [(address, "style", hash_of(text)) for text in page.styles if hash_of(text) not in allowed]
        wrong += [(address, word) for word in allowed if "unsafe" in word]
        wrong += [
            (address, name) for name in ("default-src", "base-uri", "frame-ancestors") if rules[name] != ["'none'"]
        ]
        if answer["X-Content-Type-Options"] != "nosniff" or answer["Referrer-Policy"] != "same-origin":
            wrong.append((address, "headers"))

    assert seen > 30
    assert wrong == []


def test_no_other_site_is_invited():
    """Static files too, which the server's own middleware answers."""

    async def rest(request):
        """Stands for what answers everything else."""

    middleware = ServeStaticMiddleware(rest)
    alpine = middleware.files["/static/unfold/js/alpine/alpine.js"].alternatives[0]

    assert alpine[1] == str(settings.BASE_DIR / "node_modules" / ".alpine" / "alpine.js")
    assert "Access-Control-Allow-Origin" not in dict(alpine[2])


def test_the_reader_sees_what_it_is_for():
    page = Inline()
    page.feed(
        "<p style='x'><script>1</script><a href=' javascript:1' onclick=1><style>b{}</style><script src=/a></script>"
    )

    assert len(page.found) == 4
    assert page.styles == ["b{}"]


def test_the_policy_has_one_exception_the_colours_of_the_theme():
    assert (settings.BASE_DIR / "node_modules" / ".alpine" / "alpine.js").is_file(), "make setup brings it"
    rules = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]

    assert rules["script-src"] == ["'self'"]
    assert rules["style-src"] == ["'self'", THEME_STYLE]
