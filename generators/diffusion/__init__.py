"""Diffusion with a pretrained network: one loop, and the parts that are given to it."""
