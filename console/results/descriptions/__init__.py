"""Descriptions of the results: what fails most, margins, training over seeds, attention compared."""
