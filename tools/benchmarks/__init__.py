"""One file for each benchmark, with a function ``run(quick)``; see ``tools/benchmark.py``."""
