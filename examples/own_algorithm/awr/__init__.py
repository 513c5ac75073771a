"""An algorithm for misgen: advantage-weighted regression (Peng et al. 2019, arXiv 1910.00177).

Here on policy: it learns from each rollout once and keeps no old ones.
"""
