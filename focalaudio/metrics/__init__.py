"""`Interpretation -> metrics`: what an interpretation is worth.

functional  formulas: tensors -> one value per clip
tracker     collect values over a stage, each clip once, right under DDP
"""
