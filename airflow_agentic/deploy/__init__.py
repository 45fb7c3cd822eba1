"""What the services of a deployment on more than one machine run beside Airflow's own commands."""
