"""The kinds of agent behind one small protocol, :class:`airflow_agentic.agents.base.Agent`."""
