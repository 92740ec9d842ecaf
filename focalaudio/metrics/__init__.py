"""`Interpretation -> metrics`: what an interpretation is worth.

functional   formulas: tensors -> one value per clip
boxes        what a person marked -> cells
mixtures     the same, where the sources of a mixture are known
timing       the same over time alone: in which frames a source sounds
curves       insertion and deletion of cells in the order of their saliency
novelty      is a clip like any class at all: scores, and thresholds of them
spectral_shape  does a clip sound as the training clips do at all?
removal      what random parts of an explanation are worth
neighbors    an embedding -> the nearest known clips
judges       an interpretation and another classifier -> columns
checks       maps that are compared: sanity and stability
bands        what is lost when a band of frequencies is silent
table        what each metric is, for tables and for people
columns      an interpretation -> every metric, one column each
precision    logits of all clips -> how well each of several labels is found
tracker      collect columns over a stage, each clip once, right under DDP
statistics   rows of clips -> means, intervals
calibration  logits -> is a classifier as right as it says?
"""
