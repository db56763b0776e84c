"""django-allauth's pages of second factors; confirming is ours. Strangers are led to the sign-in first."""

from allauth.mfa.base import views as base
from allauth.mfa.recovery_codes import views as recovery
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from django.contrib.auth.decorators import login_required
from django.urls import path

from accounts import views

urlpatterns = [
    path("", base.index, name="mfa_index"),
    path("authenticate/", base.authenticate, name="mfa_authenticate"),
    path("reauthenticate/", views.confirm, name="mfa_reauthenticate"),
    path("totp/activate/", login_required(totp.activate_totp), name="mfa_activate_totp"),
    path("totp/deactivate/", login_required(totp.deactivate_totp), name="mfa_deactivate_totp"),
    path("recovery-codes/", login_required(recovery.view_recovery_codes), name="mfa_view_recovery_codes"),
    path(
        "recovery-codes/generate/", login_required(recovery.generate_recovery_codes), name="mfa_generate_recovery_codes"
    ),
    path(
        "recovery-codes/download/", login_required(recovery.download_recovery_codes), name="mfa_download_recovery_codes"
    ),
    path("passkeys/", login_required(webauthn.list_webauthn), name="mfa_list_webauthn"),
    path("passkeys/add/", login_required(webauthn.add_webauthn), name="mfa_add_webauthn"),
    path("passkeys/login/", webauthn.login_webauthn, name="mfa_login_webauthn"),
    path("passkeys/reauthenticate/", views.confirm, name="mfa_reauthenticate_webauthn"),
    path("passkeys/<int:pk>/remove/", login_required(webauthn.remove_webauthn), name="mfa_remove_webauthn"),
    path("passkeys/<int:pk>/edit/", login_required(webauthn.edit_webauthn), name="mfa_edit_webauthn"),
]
