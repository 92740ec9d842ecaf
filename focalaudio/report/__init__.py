"""`rows -> CSV, JSON, Markdown`; `clips -> wav + png`: results as files.

evaluation  rows of a tested fold -> metrics.json, clips.csv, comparison.*
training    the same of a training run, and its pictures
classes     rows of a classifier's clips -> classes.csv, classes.md
tables      rows -> CSV, JSON, Markdown
clips       interpretations -> wav + png
timeline    one label per window -> CSV, Audacity labels
"""
