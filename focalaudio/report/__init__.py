"""`rows -> CSV, JSON`: results as files.

tables  rows -> clips.csv, metrics.json
"""
