"""Machine-learning models and what they predicted."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from analytics.models import MLModel, ModelPrediction
from audit.admin.recorded import RecordedAdmin
from bots.admin.ledger import SymbolFilter
from tradingdb.lib import display
from tradingdb.lib.admin import ChoicesFilter, DayRangeFilter, LedgerAdmin, RelatedFilter
from tradingdb.lib.sections import Link, Section, list_url, table


@admin.register(MLModel)
class MLModelAdmin(RecordedAdmin):
    list_display = ("name", "version", "type", "status", "framework", "training_end_date", "created_at")
    list_filter = (("status", ChoicesFilter), ("type", ChoicesFilter))
    search_fields = ("name", "version")
    ordering = ("name", "-created_at")
    empty_note = "No model yet. Add one when its training starts; its predictions refer to it."
    addable = (
        "name", "version", "type", "framework", "description", "hyper_parameters", "features_list", "symbols",
        "timeframes", "training_start_date", "training_end_date", "file_path",
    )  # fmt: skip
    # What it was trained on is history; another training is another version.
    editable = ("status", "description", "training_metrics", "validation_metrics", "file_path", "reason")
    fieldsets = (
        (
            None,
            {"fields": (("name", "version"), ("type", "framework"), "status", "description", "file_path",
                        ("created_at", "updated_at"))},
        ),
        (
            "Training",
            {"fields": (("training_start_date", "training_end_date"), "symbols", "timeframes", "features_list",
                        "hyper_parameters")},
        ),
        ("Results", {"fields": ("training_metrics", "validation_metrics")}),
        ("Why", {"fields": ("reason",)}),
    )  # fmt: skip
    resource_type = "ml_model"

    def links(self, request: HttpRequest, row: Any) -> list[Link]:
        return [Link("Predictions", list_url(ModelPrediction, model__id__exact=str(row.pk)))]

    def sections(self, request: HttpRequest, row: Any) -> list[Section]:
        versions = MLModel.objects.filter(name=row.name).order_by("-created_at")
        columns = ("version", "status", "training_start_date", "training_end_date", "created_at")
        return [table(self.admin_site, "All versions", versions, columns)]


@admin.register(ModelPrediction)
class ModelPredictionAdmin(LedgerAdmin):
    list_display = (
        "timestamp", "show_model", "symbol", "prediction_type", "prediction_value", "confidence", "actual_value",
        "prediction_error",
    )  # fmt: skip
    list_filter = (("model", RelatedFilter), SymbolFilter, ("timestamp", DayRangeFilter))
    list_select_related = ("model",)
    ordering = ("-timestamp",)
    empty_note = "No model has predicted anything yet."
    fieldsets = (
        (
            None,
            {"fields": (("timestamp", "show_model"), ("symbol", "prediction_type"), ("source", "created_at"))},
        ),
        (
            "Predicted and actual",
            {"fields": (("prediction_value", "confidence"), ("actual_value", "prediction_error"))},
        ),
        ("Inputs", {"fields": ("features_snapshot",)}),
    )  # fmt: skip

    @admin.display(description="Model")
    def show_model(self, row: ModelPrediction) -> SafeString:
        return display.link(row.model, "analytics_mlmodel_change", row.model_id)
