"""`Interpretation -> metrics`: what an interpretation is worth.

functional  formulas: tensors -> one value per clip
curves      insertion and deletion of cells in the order of their saliency
tracker     collect values over a stage, each clip once, right under DDP
"""
