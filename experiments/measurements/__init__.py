"""Measurements of trained models after the runs, one question per module.

Each module defines three names. NAME: its rows are a condition NAME of the
experiment "theory". NEEDS: the runs whose trained models it reads, e.g.
"controls/sparse_a_to_c". `measure`: from these models and a seed to rows, or
to rows of each epoch (`measured.RowOfEpoch`).
"""
