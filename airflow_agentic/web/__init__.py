"""What the package adds to Airflow's api-server: pages that show runs to those who may see them."""
