#!/usr/bin/env python
"""Run Django's management commands against the instance that STATE_DIR names."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingdb.settings.dev")
    os.environ.setdefault("PROCESS_KIND", "command")
    from django.core.management import execute_from_command_line

    from tradingdb.lib.acting import acting

    with acting(actor=f"command:{sys.argv[1]}" if len(sys.argv) > 1 else "command"):
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
