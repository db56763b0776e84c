"""Entry point of `python -m tradingdb.services`."""

import sys

from tradingdb.services.cli import main

sys.exit(main())
