"""
What a deployment's own observability gets to see of runs: spans, metrics and lineage.

Records are the truth about a run; all of this only points at it, so nothing here may fail a task, and nothing is
imported or computed where nobody listens.
"""
