"""The forms of the sign-in: django-allauth's, with our count of attempts and codes that are good once."""

from typing import Any

from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm as AllauthAuthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm as AllauthActivateTOTPForm
from django.http import QueryDict

from accounts.services.attempts import Attempt
from accounts.services.factors import use_code
from audit.services.actions import Actor


class LoginForm(AllauthLoginForm):  # type: ignore[misc]  # allauth has no types for this
    """Address and password. A script that posts `username`, as to the plain admin, is let in as well."""

    def __init__(self, *args: Any, **options: Any) -> None:
        data = options.get("data")
        if data is not None and "login" not in data and "username" in data:
            named: QueryDict = data.copy()
            named["login"] = str(named["username"])
            options["data"] = named
        super().__init__(*args, **options)
        self.fields["login"].label = "E-mail address"
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)
        self.fields["password"].help_text = ""

    def user_credentials(self) -> dict[str, str]:
        return {"email": self.cleaned_data["login"].lower(), "password": self.cleaned_data["password"]}


class AuthenticateForm(AllauthAuthenticateForm):  # type: ignore[misc]  # allauth has no types for this
    """The second step: a code of the app, or a recovery code."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["code"].widget.attrs.pop("placeholder", None)

    def clean_code(self) -> str:
        """Use the code up. Raises RateLimited before it is looked at."""
        code: str = self.cleaned_data["code"]
        attempt = Attempt(self.user.email, context.request, kind="factor")
        attempt.take()
        found = use_code(user=self.user, code=code)
        if found is None:
            Actor(None, context.request, name=self.user.email).record("login.factor_failed", "user", self.user.email)
            raise get_adapter().validation_error("incorrect_code")
        attempt.succeeded()
        found.user = self.user
        self.authenticator = found
        return code


class ActivateTOTPForm(AllauthActivateTOTPForm):  # type: ignore[misc]  # allauth has no types for this
    """The first code of a new app."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["code"].widget.attrs.pop("placeholder", None)
