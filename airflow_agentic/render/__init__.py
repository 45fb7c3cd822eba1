"""Pictures of templates, as their authors think of them; no Airflow is needed to draw one."""
