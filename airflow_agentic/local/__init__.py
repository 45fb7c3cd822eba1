"""An Airflow of its own on this machine: what ``make demo``, the tests and ``airflow-agentic run`` have in common."""
