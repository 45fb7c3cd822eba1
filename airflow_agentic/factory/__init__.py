"""From a plan to an Airflow DAG, and the two ways a folder of templates reaches Airflow."""
