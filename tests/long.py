"""Whether this run may take longer than a few minutes: `make test-long`."""

import os

LONG = os.environ.get("LEDGER_TESTS") == "long"
