"""
Rate limits of connections, shared by all templates, runs, workers and machines.

A connection says how much it takes (:mod:`~airflow_agentic.limits.settings`); a store that all processes share keeps
what was used and who waits (:mod:`~airflow_agentic.limits.sqlite`, :mod:`~airflow_agentic.limits.redis`); an agent is
let in by :mod:`~airflow_agentic.limits.admission`. Nothing here knows agents, and nothing is imported for connections
without limits.
"""
