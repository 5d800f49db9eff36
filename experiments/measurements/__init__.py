"""What is measured on trained models, after the runs, one question a module.

Each module has NAME, under which its rows stand as a condition of the
experiment "theory"; NEEDS, the runs whose trained models it reads, e.g.
"controls/sparse_a_to_c"; and `measure`, from these models and a seed to rows,
or to rows of each epoch (`measure_all.RowOfEpoch`).
"""
