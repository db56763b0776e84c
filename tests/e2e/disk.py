"""Whether a small disk can be had here for a test that fills it."""

import os
import subprocess
from functools import cache

LEFT_OUT = (
    "left out: tests/e2e/test_full_disk.py. It mounts a small disk and fills it; mounting is not permitted here "
    "(that takes root with CAP_SYS_ADMIN). A disk that gets low is tested all the same, by test_main_job.py."
)


@cache
def may_mount() -> bool:
    """Try it, where nobody else sees it."""
    if os.geteuid() != 0:
        return False
    words = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/tmp"]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
