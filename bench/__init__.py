"""Figures as ratios of one run on one machine: `python -m bench` (`make bench`)."""
