"""The runs of the invariants, and the tile that shows the last one."""

from datetime import timedelta

from django.utils import timezone

from audit.models import InvariantRun
from tests.factories import InvariantRunFactory

NAME = "I08_position_size_is_signed_sum_of_fills"


def tile_of(browser):
    tiles = browser.open("index").context["tiles"]
    return next(tile for tile in tiles if tile["name"] == "Ledger")


def red(at):
    return InvariantRunFactory(
        at=at, ok=False, counts={NAME: 3, "other": 0}, found={NAME: [{"bot_id": "alpha", "size": "7"}]},
        red_since={NAME: "2026-11-18T07:41:00+00:00"},
    )  # fmt: skip


def test_a_red_run_says_what_is_red_since_when_and_by_which_rows(viewer):
    run = red(timezone.now())

    page = viewer.open("audit_invariantrun_change", run.pk).content.decode()
    listed = viewer.open("audit_invariantrun_changelist").content.decode()

    for text in (page, listed):
        assert f"{NAME} (3) since" in text
        assert "2026-11-18 07:41:00Z" in text
    assert "alpha" in page
    assert f"Invariants: {NAME} broken" in listed


def test_the_tile_is_green_only_after_a_young_run_that_found_nothing(viewer):
    assert ("red" in tile_of(viewer)["value"], tile_of(viewer)["note"]) == (True, "never looked at")

    now = timezone.now()
    InvariantRunFactory(at=now - timedelta(minutes=5), counts={"one": 0, "two": 0})
    tile = tile_of(viewer)
    assert ("red" in tile["value"], tile["note"]) == (True, "not looked at for 5 min; looked at 5 min ago")

    InvariantRunFactory(at=now, counts={"one": 0, "two": 0})
    tile = tile_of(viewer)
    assert "holds" in tile["value"]
    assert tile["note"].startswith("2 hold; looked at ")

    red(now + timedelta(seconds=1))
    tile = tile_of(viewer)
    assert "red" in tile["value"]
    assert tile["note"].startswith(f"{NAME} broken; looked at ")
    assert InvariantRun.objects.count() == 3
