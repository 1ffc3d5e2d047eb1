"""A file here is a step (a verb, it may import prefect); a folder is a part (a noun, it never does)."""
