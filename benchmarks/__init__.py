"""BENCHMARKS: what things cost, as ratios to yardsticks of the same run. May import all other packages; none imports it."""
