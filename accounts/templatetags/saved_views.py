"""The views that a list offers to the person who looks at it."""

from typing import Any

from django import template
from django.contrib.admin.views.main import ChangeList

from accounts.models import SavedView

register = template.Library()


@register.simple_tag(takes_context=True)
def saved_views(context: dict[str, Any], cl: ChangeList) -> list[SavedView]:
    """Return the person's own views of a list and those that others share."""
    user = context["request"].user
    return list(SavedView.objects.offered_to(user.pk, cl.opts.label_lower).select_related("owner"))
