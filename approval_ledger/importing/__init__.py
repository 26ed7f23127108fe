"""IMPORT: tables as regulators publish them, read, understood, compared with a ledger. Prints nothing, appends nothing."""
