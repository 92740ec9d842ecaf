"""`rows -> CSV, JSON`: results as files.

tables    rows -> clips.csv, metrics.json
timeline  one label per window -> CSV, Audacity labels
"""
