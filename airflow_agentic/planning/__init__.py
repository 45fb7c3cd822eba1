"""How a template runs, worked out before it runs: pure, deterministic, without Airflow."""
