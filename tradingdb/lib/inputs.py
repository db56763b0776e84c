"""Inputs of the admin's forms that show a value as a person writes it."""

import json
from decimal import Decimal
from typing import Any

from django import forms

from tradingdb.lib import display


class PlainDecimalField(forms.DecimalField):
    """A decimal input without the zeros the column pads it with."""

    def prepare_value(self, value: Any) -> Any:
        return display.plain(value) if isinstance(value, Decimal) and value.is_finite() else value


class IndentedJSONField(forms.JSONField):
    """A JSON input that people can read."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, str):
            return super().prepare_value(value)
        return json.dumps({} if value is None else value, indent=2, ensure_ascii=False)
