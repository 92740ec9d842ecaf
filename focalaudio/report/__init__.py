"""`rows -> CSV, JSON, Markdown`; `clips -> wav + png, HTML`: results as files.

evaluation   rows of a tested fold -> metrics.json, clips.csv, comparison.*
training     the same of a training run, and its pictures
held_out     runs that each left out a fold -> how sure they may be
classes      rows of a classifier's clips -> classes.csv, classes.md
novelty      what rules let through -> novelty.json, novelty.csv, novelty.md
conclusions  what was measured -> the last lines of a run
tables       rows -> CSV, JSON, Markdown
clips        interpretations -> wav + png
page         records of clips, views and a whole page, made of interpretations
words        numbers of a clip -> plain words; what not to trust
encoded      a clip -> JSON, its sounds as FLAC, its pictures as PNG
profiles     saliency -> the bands and moments in which a class is heard
overview     rows of a run -> scores, curves, confusions of a page
writer       clips, one at a time -> report.html, which needs no network
boxes        boxes -> Raven's selection table, Audacity labels, CSV
ratings      answers of a listening test -> mean opinion scores
timeline     one label per window -> CSV, Audacity labels
explained    interpretations -> rows, and everything that is written of a clip
notebook     an interpretation -> what a notebook shows
"""
