"""What the tables of logs, load, health and commands refuse."""

from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction

from audit.models import RiskEvent, SystemEvent, SystemMetric
from tests.factories import (
    NOON,
    CommandAuditFactory,
    InvariantRunFactory,
    SystemHealthFactory,
    SystemLogFactory,
    SystemMetricFactory,
)
from tests.rules import assert_refused, assert_refused_sql

pytestmark = pytest.mark.django_db


def RiskEventFactory(**columns):  # noqa: N802
    defaults = {
        "bot_id": "b",
        "risk_type": "overfill",
        "current_value": 2,
        "limit_value": 1,
        "action_taken": "alert_sent",
    }
    return RiskEvent.objects.create(**{**defaults, **columns})


@pytest.mark.parametrize(
    ("factory", "columns", "rule"),
    [
        (SystemLogFactory, {"level": "warning"}, "system_logs_valid_level"),
        (SystemLogFactory, {"component": ""}, "system_logs_named_component"),
        (SystemMetricFactory, {"cpu_usage": Decimal("100.01")}, "system_metrics_percent"),
        (SystemMetricFactory, {"memory_usage": Decimal("-0.01")}, "system_metrics_percent"),
        (SystemMetricFactory, {"disk_usage": Decimal(101)}, "system_metrics_percent"),
        (SystemMetricFactory, {"network_sent_bytes": -1}, "system_metrics_not_negative"),
        (SystemMetricFactory, {"network_received_bytes": -1}, "system_metrics_not_negative"),
        (SystemMetricFactory, {"execution_latency": -1}, "system_metrics_not_negative"),
        (
            SystemMetricFactory,
            {"api_request_count": 1, "api_error_count": 2},
            "system_metrics_errors_are_calls",
        ),
        (SystemMetricFactory, {"api_error_count": -1}, "system_metrics_errors_are_calls"),
        (SystemMetricFactory, {"api_request_count": None}, "system_metrics_errors_are_calls"),
        (SystemHealthFactory, {"system": "kitchen"}, "system_health_valid_system"),
        (SystemHealthFactory, {"status": "healthy"}, "system_health_valid_status"),
        (SystemHealthFactory, {"component": ""}, "system_health_named_component"),
        (SystemHealthFactory, {"failure_count": -1}, "system_health_failures_not_negative"),
        (SystemHealthFactory, {"avg_response_time_ms": -1}, "system_health_response_not_negative"),
        (CommandAuditFactory, {"telegram_user_id": ""}, "command_audits_who_and_what"),
        (CommandAuditFactory, {"command": ""}, "command_audits_who_and_what"),
        (CommandAuditFactory, {"response_time_ms": -1}, "command_audits_response_not_negative"),
        (InvariantRunFactory, {"kind": "half"}, "invariant_runs_valid_kind"),
        (InvariantRunFactory, {"counts": []}, "invariant_runs_json_objects"),
        (InvariantRunFactory, {"ok": False}, "invariant_runs_red_is_named"),
        (InvariantRunFactory, {"replay_differences": 1}, "invariant_runs_red_is_named"),
        (InvariantRunFactory, {"red_since": {"one": "2026-11-19T12:00:00+00:00"}}, "invariant_runs_red_is_named"),
        (RiskEventFactory, {"positions_affected": -1}, "risk_events_counts_not_negative"),
        (RiskEventFactory, {"trades_cancelled": -1}, "risk_events_counts_not_negative"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_row_that_breaks_one_rule_is_refused_by_it(factory, columns, rule):
    assert_refused(rule, factory, **columns)


@pytest.mark.parametrize(
    ("factory", "columns"),
    [
        (SystemLogFactory, ["timestamp", "created_at"]),
        (SystemMetricFactory, ["timestamp", "created_at"]),
        (SystemHealthFactory, ["last_success", "last_failure", "checked_at"]),
        (CommandAuditFactory, ["created_at"]),
        (InvariantRunFactory, ["at"]),
    ],
)
def test_a_time_without_end_is_refused(factory, columns):
    row = factory()

    for column in columns:
        for value in ("infinity", "-infinity"):
            assert_refused_sql(f"{row._meta.db_table}_finite_times", row, column, value)


def test_a_meter_reading_is_a_number():
    for column in ("cpu_usage", "memory_usage", "disk_usage"):
        assert_refused_sql(f"system_metrics_{column}_check", SystemMetricFactory(), column, "NaN")
    risk = RiskEventFactory(threshold_pct=Decimal("105.5"))
    assert_refused_sql("risk_events_threshold_pct_check", risk, "threshold_pct", "NaN")


def test_two_readings_of_one_machine_in_a_minute_are_one_too_many():
    SystemMetricFactory(host="a")
    SystemMetricFactory(host="b")

    # A partition names its part of the rule after itself.
    with pytest.raises(IntegrityError, match=r"\(host, \"timestamp\"\)=\(a, .*\) already exists"), transaction.atomic():
        SystemMetricFactory(host="a")
    assert SystemMetric.objects.count() == 2


def test_a_part_of_the_house_has_one_row_also_without_a_component():
    """The old table let every system without a component have any number of rows."""
    SystemHealthFactory(system="database", component=None)
    SystemHealthFactory(system="redis", component=None)
    SystemHealthFactory(system="notification", component="email")
    SystemHealthFactory(system="telegram_bot", component="email")

    assert_refused("system_health_unique_part", SystemHealthFactory, system="database", component=None)
    assert_refused("system_health_unique_part", SystemHealthFactory, system="notification", component="email")


def test_an_unknown_status_can_be_stored():
    """The old system's rule had no UNKNOWN."""
    assert SystemHealthFactory(status="UNKNOWN").pk


def test_events_have_the_level_of_seed_000():
    def make(**columns):
        return SystemEvent.objects.create(
            **{"event_time": NOON, "event_type": "X", "event_level": "INFO", "message": "m", **columns}
        )

    assert_refused("system_events_valid_level", make, event_level="info")
