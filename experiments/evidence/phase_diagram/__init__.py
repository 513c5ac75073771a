"""When does a training seed misgeneralize: frequency of conflicts, their variety, or time?

P(a seed misgeneralizes) over the correlation, the length of training and the number of *distinct*
conflict levels, which varies apart from their frequency: forks of one study report that distinct
conflicts count and repeats do not, and that seeds flip between two kinds.
"""
