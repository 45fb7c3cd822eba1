"""The language: YAML with positions, models, expressions, checks. Imports nothing of Airflow."""
