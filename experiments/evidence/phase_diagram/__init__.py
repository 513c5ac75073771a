"""When does a training seed misgeneralize: frequency of conflicts, their variety, or time?

P(a seed misgeneralizes) over the correlation, the length of training and the number of *distinct*
conflict levels, which varies apart from their frequency.  Forkworld reports that distinct conflicts
count and repeats do not; others, that preferences flip with the training seed alone.
"""
