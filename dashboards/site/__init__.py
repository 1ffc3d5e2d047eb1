"""The main script of the dashboard and how it looks."""
