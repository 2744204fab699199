"""Losses that people wrote by hand, held against the objective that a drawing derives."""
