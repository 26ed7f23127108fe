"""IMPORT: reads tables as regulators publish them, understands them, and compares them with a ledger. Prints and appends nothing."""
