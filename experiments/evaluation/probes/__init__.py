"""Probes of actor and critic on counterfactual pairs of levels."""
