"""Commands and experiments: training, evaluation, sweeps and reports."""
