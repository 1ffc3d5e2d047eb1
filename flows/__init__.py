"""Stories: what the Prefect UI lists, and the command line."""
