"""A supervisor over children that a test describes: run_supervisor.py STATE_DIR CHILDREN_AS_JSON [STEADY_SECONDS]."""

import json
import os
import signal
import sys
from pathlib import Path

from tradingdb.services import supervisor as module
from tradingdb.services.processes import Child, Restart
from tradingdb.services.state import StateDir

state = StateDir(Path(sys.argv[1]))
state.create()


def say(message: str) -> None:
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


if len(sys.argv) > 3:
    module.STEADY_SECONDS = float(sys.argv[3])
supervisor = module.Supervisor(state, say)
with supervisor.in_charge():
    for child in json.loads(sys.argv[2]):
        supervisor.start(
            Child(
                name=child["name"],
                command=child["command"],
                directory=state.root,
                environment=dict(os.environ),
                stop_signals=((signal.SIGTERM, child.get("stop_seconds", 5.0)),),
                restart=Restart[child.get("restart", "ALWAYS")],
                has_spare=child.get("has_spare", False),
            )
        )
    supervisor.run_forever()
