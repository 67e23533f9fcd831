"""Choosing a quantizer for given rows and a target: candidates are measured on held-out rows, the best is fitted on all."""
