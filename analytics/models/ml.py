"""Machine-learning models and what they predicted."""

from uuid import uuid4

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from timescale.db.models.fields import TimescaleDateTimeField

from analytics.choices import ModelStatus, ModelType
from tradingdb.lib.fields import amount, finite_times, one_of, ratio, valid_symbol
from tradingdb.lib.json_rules import json_lists, json_objects, symbol_list


class MLModel(models.Model):
    """One version of a trained model: what it was trained on, with what, and how good it was."""

    id = models.UUIDField(primary_key=True, default=uuid4, db_default=RandomUUID(), editable=False)
    name = models.CharField(max_length=100)
    version = models.CharField(max_length=20)
    description = models.TextField(null=True, blank=True)
    type = models.CharField(max_length=30, choices=ModelType)
    status = models.CharField(max_length=20, choices=ModelStatus, default=ModelStatus.TRAINING, db_default="training")
    framework = models.CharField(max_length=50, help_text="pytorch, tensorflow and the like.")
    hyper_parameters = models.JSONField(default=dict, blank=True, db_default={}, help_text="By name.")
    training_metrics = models.JSONField(null=True, blank=True, help_text="By name, on the rows it was trained on.")
    validation_metrics = models.JSONField(null=True, blank=True, help_text="By name, on rows it had not seen.")
    features_list = models.JSONField(help_text="Names of its inputs, a list.")
    symbols = models.JSONField(help_text="Markets it was trained on, a list.")
    timeframes = models.JSONField(help_text="Intervals it was trained on, a list.")
    training_start_date = models.DateTimeField(help_text="First moment of the training data, UTC.")
    training_end_date = models.DateTimeField(help_text="Last moment of the training data, UTC.")
    file_path = models.CharField(max_length=255, null=True, blank=True, help_text="Where its files lie in storage.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        db_table = "ml_models"
        ordering = ["name", "-created_at"]
        verbose_name = "ML model"
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="ml_models_unique_version"),
            models.CheckConstraint(condition=~Q(name="") & ~Q(version=""), name="ml_models_named"),
            one_of("type", ModelType, name="ml_models_valid_type"),
            one_of("status", ModelStatus, name="ml_models_valid_status"),
            models.CheckConstraint(
                condition=Q(training_end_date__gte=F("training_start_date")),
                name="ml_models_training_ends_after_start",
                violation_error_message="The training data cannot end before they start.",
            ),
            # Two rules: a form checks a rule only when it has all of its fields.
            json_objects("ml_models_hyper_parameters_is_object", "hyper_parameters"),
            json_objects("ml_models_metrics_are_objects", "training_metrics", "validation_metrics", null=True),
            json_lists("ml_models_are_lists", "features_list", "symbols", "timeframes"),
            symbol_list("ml_models_valid_symbols", "symbols"),
            finite_times(
                "ml_models_finite_times", "training_start_date", "training_end_date", "created_at", "updated_at"
            ),
        ]
        indexes = [
            models.Index(fields=["status"], name="idx_ml_models_status"),
            models.Index(fields=["type"], name="idx_ml_models_type"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class ModelPrediction(models.Model):
    """One value a model predicted for a symbol and a moment, and what it turned out to be."""

    model = models.ForeignKey("analytics.MLModel", models.PROTECT, related_name="predictions", db_index=False)
    symbol = models.CharField(max_length=40)
    timestamp = TimescaleDateTimeField(interval="1 month", help_text="Moment the prediction was made, UTC.")
    prediction_type = models.CharField(max_length=50, help_text="price_direction, next_price and the like.")
    prediction_value = amount()
    confidence = ratio(null=True, blank=True)
    features_snapshot = models.JSONField(null=True, blank=True, help_text="The inputs, by name.")
    actual_value = amount(null=True, blank=True, help_text="NULL until the outcome is known.")
    prediction_error = amount(null=True, blank=True, help_text="Predicted minus actual.")
    source = models.CharField(max_length=50, default="api", db_default="api", help_text="api, job or import:<name>.")
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        db_table = "model_predictions"
        ordering = ["-timestamp"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "symbol", "timestamp", "prediction_type"], name="model_predictions_one_per_moment"
            ),
            valid_symbol("model_predictions_valid_symbol"),
            models.CheckConstraint(condition=~Q(prediction_type=""), name="model_predictions_typed"),
            models.CheckConstraint(
                condition=Q(confidence__gte=0) & Q(confidence__lte=1), name="model_predictions_valid_confidence"
            ),
            models.CheckConstraint(
                condition=Q(prediction_error__isnull=True) | Q(actual_value__isnull=False),
                name="model_predictions_error_needs_actual",
            ),
            json_objects("model_predictions_is_object", "features_snapshot", null=True),
            finite_times("model_predictions_finite_times", "timestamp", "created_at"),
        ]
        indexes = [
            models.Index("model", F("timestamp").desc(), name="idx_model_predictions_model"),
            models.Index("symbol", F("timestamp").desc(), name="idx_model_predictions_symbol"),
            models.Index(F("timestamp").desc(), name="idx_model_predictions_time"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.prediction_type} {self.timestamp:%Y-%m-%d %H:%M:%SZ}"
