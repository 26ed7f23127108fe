"""BENCHMARKS: what each thing costs, as a ratio to a yardstick of the same run. May import everything of ours; nobody imports it."""
