"""The command line, one file per group of commands; flows/__main__.py lists them."""
