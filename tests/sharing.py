"""How the tests are shared among the workers of pytest-xdist: one by one, so that none waits for another at the end.

Tests that share something dear stay together, and begin: the largest group first.
"""

from xdist.scheduler import LoadScopeScheduling

# The tests of the whole system mostly wait; two workers at most do, for each file has an instance of its own.
# The others read what is made once for their file.
TOGETHER = {
    "tests/e2e/test_main_job.py": "the main job",
    "tests/e2e/test_demo_run.py": "beside the main job",
    "tests/e2e/test_full_disk.py": "beside the main job",
    "tests/e2e/test_halt.py": "beside the main job",
    "tests/bots/test_invariants.py": "invariants",
    "tests/house/test_drift.py": "drift",
    "tests/live/test_dashboard_browser.py": "dashboard",
}


class Sharing(LoadScopeScheduling):
    """Gives a worker that has nothing left to do the next test, or the next group."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER.get(nodeid.partition("::")[0], nodeid)
