"""What a job may run: this closed list of functions, and nothing else. No path, no shell, no code from the database.

A function gets its arguments, read by its own model, and the nominal time of the run; what it returns is kept with the
run. It can run twice without harm. The job types screener, alert, notification and backup have no function yet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from analytics.metrics.borders import utc_day
from analytics.metrics.returns import ONE_DAY
from analytics.selectors.grid import slot_at
from analytics.services.portfolio import portfolio_fill_gaps, portfolio_snapshot
from analytics.services.risk_metrics import risk_metrics_compute_day, risk_metrics_refresh_stale
from bots.services.invariants.run import broken, invariants_verify
from config_app.services.field_keys import rotation_end, rows_rotate
from jobs.choices import JobType
from jobs.progress import tell
from tradingdb.lib.errors import DomainError, ValidationFailed


class JobFailed(DomainError):
    """The job ran to its end and found something that people have to look at."""

    code = "job_failed"
    http_status = 409


class NoParams(BaseModel):
    """A target without arguments."""

    model_config = ConfigDict(extra="forbid")


class DayParams(NoParams):
    """A UTC day, the one before the nominal time by default, and one bot or all of them."""

    day: date | None = None
    bot_id: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One function that schedules may name."""

    target: str
    job_type: JobType
    meaning: str
    params: type[NoParams]
    run: Callable[[Any, datetime], dict[str, Any]]


def _portfolio_snapshot(params: NoParams, at: datetime) -> dict[str, Any]:
    slot = slot_at(at)
    return {"slot": slot, "taken": portfolio_snapshot(slot=slot)}


def _portfolio_gaps(params: NoParams, at: datetime) -> dict[str, Any]:
    return {"filled": portfolio_fill_gaps(until=slot_at(at))}


def _risk_metrics_day(params: DayParams, at: datetime) -> dict[str, Any]:
    day = params.day or utc_day(at) - ONE_DAY
    done = risk_metrics_compute_day(day=day, bot_id=params.bot_id)
    return {"day": day, "written": done.written, "unchanged": done.unchanged}


def _risk_metrics_stale(params: NoParams, at: datetime) -> dict[str, Any]:
    done = risk_metrics_refresh_stale(lookback=None)
    return {"written": done.written, "unchanged": done.unchanged}


def _verify_ledger(params: NoParams, at: datetime) -> dict[str, Any]:
    report = invariants_verify()
    asked, red = len(report["invariants"]), broken(report)
    if red:
        raise JobFailed(f"{len(red)} of {asked} invariants are broken: {', '.join(red)}.")
    return {"invariants": asked}


def _rotate_keys(params: NoParams, at: datetime) -> dict[str, Any]:
    return rotation_end(rows_rotate(tell=tell))


JOBS: tuple[Job, ...] = (
    Job("portfolio_snapshot", JobType.REPORT, "Keep the portfolio at the last five-minute slot.", NoParams,
        _portfolio_snapshot),
    Job("verify_ledger", JobType.REPORT, "Ask every invariant of the ledger; fails when one is broken.", NoParams,
        _verify_ledger),
    Job("risk_metrics_day", JobType.DATA_PROCESSING,
        "Compute the risk metrics of one UTC day: yesterday, or `day`; of all bots, or of `bot_id`.", DayParams,
        _risk_metrics_day),
    Job("risk_metrics_stale", JobType.DATA_PROCESSING, "Compute again all risk metrics that late facts made stale.",
        NoParams, _risk_metrics_stale),
    Job("portfolio_gaps", JobType.DATA_PROCESSING, "Fill up to a day of missing portfolio snapshots.", NoParams,
        _portfolio_gaps),
    Job("rotate_keys", JobType.DATA_PROCESSING, "Encrypt secrets that are under an older key under the current one.",
        NoParams, _rotate_keys),
)  # fmt: skip
REGISTRY: Mapping[str, Job] = {job.target: job for job in JOBS}


def job_find(*, job_type: str, target: str) -> Job:
    """Return the job of a type with a name; raise ValidationFailed when there is none."""
    job = REGISTRY.get(target)
    if job is None or job.job_type != job_type:
        known = ", ".join(f"{each.job_type}/{each.target}" for each in JOBS)
        raise ValidationFailed(f"There is no job {job_type}/{target}; there are {known}.")
    return job


def params_read(job: Job, task_params: Any) -> NoParams:
    """Return a job's arguments; raise ValidationFailed for one that it does not know or cannot read."""
    try:
        return job.params.model_validate(task_params)
    except ValidationError as e:
        found = [(".".join(map(str, each["loc"])) or "task_params", each["msg"]) for each in e.errors()]
        told = "; ".join(f"{place}: {words}" for place, words in found)
        raise ValidationFailed(
            f"The arguments of {job.target} are wrong: {told}",
            errors=[{"loc": [place], "msg": words} for place, words in found],
        ) from e
