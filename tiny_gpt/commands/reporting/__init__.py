"""All experiments, the verdicts and the report."""
