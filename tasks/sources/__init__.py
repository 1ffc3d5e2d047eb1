"""Where facts come from: files and buckets, databases. Everything lands as text; the gate decides what to believe."""
