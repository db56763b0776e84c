"""The drift check sees into native partitions. TimescaleDB has none of these: it looks after its chunks itself."""

import pytest

from tests.house.planted_drift import (  # noqa: F401 (expected is a fixture)
    MAKE_MONTH,
    PLANTED_IN_PARTITIONS,
    expected,
    run,
)
from tradingdb.management.drift import schema_differences

pytestmark = pytest.mark.django_db


def test_partition_made_ahead_is_no_difference(expected):
    run(MAKE_MONTH)

    assert schema_differences(expected=expected) == []


@pytest.mark.parametrize("case", PLANTED_IN_PARTITIONS)
def test_planted_difference_is_named(expected, case):
    sql, lines = PLANTED_IN_PARTITIONS[case]
    run(sql)

    said = [str(each) for each in schema_differences(expected=expected)]

    assert [line for line in lines if not any(one.startswith(line) for one in said)] == [], said
    assert len(said) == len(lines), said
