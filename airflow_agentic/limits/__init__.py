"""
Rate limits of connections, and budgets of runs: shared by all templates, runs, workers and machines.

A connection says how much it takes (:mod:`~airflow_agentic.limits.settings`); a store that all processes share keeps
what was used and who waits (:mod:`~airflow_agentic.limits.sqlite`, :mod:`~airflow_agentic.limits.redis`); an agent is
let in by :mod:`~airflow_agentic.limits.admission`.

A run's purse (:mod:`~airflow_agentic.limits.purse`) is asked before each of its calls; what was spent is kept in the
same place (:mod:`~airflow_agentic.limits.purses_sqlite`, :mod:`~airflow_agentic.limits.purses_redis`). What models cost
is in :mod:`~airflow_agentic.limits.prices`.

Nothing here knows agents, and nothing is imported for connections without limits and runs without a budget.
"""
