"""What a password must not be, and what a browser keeps after signing out."""

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.urls import reverse

from accounts.models import User
from tests.factories import UserFactory


@pytest.mark.parametrize(
    "password", ["Tradingdb-2026", "tradingtrading", "binance12345", "password1234", "anna.brown2026", "x7#kf92mq1z"]
)
def test_what_would_be_tried_first_is_refused(password):
    user = User(email="anna.brown@example.com", full_name="Anna Brown")

    with pytest.raises(ValidationError):
        validate_password(password, user)


@pytest.mark.parametrize(
    "password", ["correct horse battery staple", "x7#kf92mq1z-trading", "ünïcode ist erlaubt", "k" * 12 + "9" * 88]
)
def test_any_other_is_taken(password):
    validate_password(password)


@pytest.mark.django_db
def test_who_signs_out_leaves_nothing_behind(client):
    client.force_login(UserFactory())

    assert "Clear-Site-Data" not in client.get(reverse("account_home")).headers
    assert client.post(reverse("account_logout"))["Clear-Site-Data"] == '"cache", "storage"'
