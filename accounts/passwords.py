"""What a password must not be made of, beside what Django checks."""

from typing import Any

from django.core.exceptions import ValidationError

# Whoever guesses at this house begins with these. docs/people.md lists them.
WORDS = ("tradingdb", "trading", "controlroom", "control room", "exchange", "bitcoin", "binance")
# So many characters must be left when the words are taken away.
LEAST_LEFT = 8


class HouseWordsValidator:
    """Refuses passwords that are little more than words of this house and its trade."""

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError for such a password."""
        left = password.lower()
        for word in WORDS:
            left = left.replace(word, "")
        if left != password.lower() and len(left) < LEAST_LEFT:
            raise ValidationError(self.get_help_text(), code="password_house_words")

    def get_help_text(self) -> str:
        return "The password is little more than words that anybody would try here first."
