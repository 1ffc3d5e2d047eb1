"""The receiver: what providers report, what people answer, and the pages behind links in messages."""
