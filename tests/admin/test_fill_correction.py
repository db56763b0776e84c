"""A wrong fill is corrected from its own page, by administrators, with words; both ends lead to each other."""

import pytest

from audit.models import UserAction
from bots.models import Fill, Order

RIGHT = {
    "what": "figures", "price": "110.123456789", "quantity": "2", "fee": "0.5", "fee_currency": "USDT", "liquidity": "",
    "executed_at": "2026-11-19T12:05:00Z", "reason": "statement of the exchange",
}  # fmt: skip


def correct(browser, fill, **changes):
    return browser.send("bots_fill_correct", fill.pk, **RIGHT | changes)


def entries():
    return Fill.objects.filter(source="correction").order_by("id")


def test_the_form_begins_with_what_is_stored(admin, house):
    page = admin.open("bots_fill_correct", house.fill.pk).content.decode()

    for shown in ('value="110.123456789"', 'value="2"', 'value="0.5"', 'value="USDT"', 'value="2026-11-19T12:05:00Z"'):
        assert shown in page
    assert "grave" in page


def test_admin_corrects_a_price_and_both_ends_lead_to_each_other(admin, house):
    answer = correct(admin, house.fill, price="111")

    void, fix = entries()
    wrong = Fill.objects.get(pk=house.fill.pk)
    assert answer.status_code == 302
    assert (fix.price, fix.quantity, void.price, void.side) == (111, 2, wrong.price, "buy")
    assert Order.objects.get(order_id=fix.order_id).order_metadata["corrects"] == wrong.fill_id
    page = admin.open("bots_fill_change", wrong.pk).content.decode()
    assert "Corrected by" in page
    for entry in (void, fix):
        assert f"/admin/bots/fill/{entry.pk}/change/" in page
        back = admin.open("bots_fill_change", entry.pk).content.decode()
        assert "Corrects" in back
        assert f"/admin/bots/fill/{wrong.pk}/change/" in back
        assert "statement of the exchange" in back
    action = UserAction.objects.get(action="fill.correct")
    assert (action.user, action.reason) == (admin.user, "statement of the exchange")
    history = admin.open("bots_fill_history", wrong.pk)
    assert f"resource_id={house.bot.bot_id}+{wrong.fill_id}" in history.context["actions_url"]
    assert action in history.context["history"].actions
    assert action.resource_id == f"{house.bot.bot_id} {wrong.fill_id}"


def test_what_never_happened_is_only_taken_back(admin, house):
    correct(admin, house.fill, what="never", price="", quantity="", executed_at="")

    (void,) = entries()
    assert (void.side, void.quantity) == ("buy", 2)


def test_a_fill_is_corrected_once_and_what_takes_it_back_never(admin, house):
    correct(admin, house.fill, price="111")
    void, fix = entries()

    for fill in (house.fill, void):
        assert "/correct/" not in admin.open("bots_fill_change", fill.pk).content.decode()
        correct(admin, fill, price="112")
    assert entries().count() == 2
    correct(admin, fix, price="112")
    assert entries().count() == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"reason": ""},
        {"price": "0"},
        {"price": ""},
        {"price": "NaN"},
        {"price": "1e400"},
        {"quantity": "-1"},
        {"quantity": "0.0000000000000000001"},
        {"fee_currency": "no such"},
        {"liquidity": "some"},
        {"executed_at": "yesterday"},
        {"executed_at": "2026-11-19T12:05:00"},
        {"executed_at": "2099-01-01T00:00:00Z"},
        {"executed_at": ""},
        {"what": "nothing"},
    ],
    ids=lambda wrong: ", ".join(f"{name}={value}" for name, value in wrong.items()) or "nothing differs",
)
def test_what_is_no_correction_changes_nothing_and_says_why(admin, house, wrong):
    answer = correct(admin, house.fill, **wrong)

    assert answer.status_code in (200, 409)
    assert 'role="alert"' in answer.content.decode()
    assert not entries().exists()


@pytest.mark.parametrize("role", ["trader", "viewer"])
def test_nobody_but_an_admin_corrects(request, house, role):
    browser = request.getfixturevalue(role)

    assert correct(browser, house.fill, price="111").status_code == 403
    assert "/correct/" not in browser.open("bots_fill_change", house.fill.pk).content.decode()
    assert not entries().exists()
