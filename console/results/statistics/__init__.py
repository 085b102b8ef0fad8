"""Statistics of runs over seeds and items that are clustered by lemma: intervals, tests, variance, what is still needed.

Arrays in, records out: nothing here knows files, experiments or screens.
"""
