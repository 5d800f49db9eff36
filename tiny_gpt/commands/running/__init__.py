"""One experiment: options, plan, runs, outputs."""
