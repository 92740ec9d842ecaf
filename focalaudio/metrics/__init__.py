"""`Interpretation -> metrics`: what an interpretation is worth.

functional  formulas: tensors -> one value per clip
mixtures    the same, where the sources of a mixture are known
curves      insertion and deletion of cells in the order of their saliency
checks      maps that are compared: sanity and stability
table       what each metric is, for tables and for people
columns     an interpretation -> every metric, one column each
tracker     collect columns over a stage, each clip once, right under DDP
statistics  rows of clips -> means, intervals, calibration
"""
