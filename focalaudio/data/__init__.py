"""Data sets in ESC-50's layout, and the way from a folder to batches.

esc50: folder -> checked metadata, split by fold.
annotations: what a person marked in a clip, Raven's or Audacity's tables.
synthetic: the default data set, synthesized by code, its events known.
voices: the ten classes of sounds and the backgrounds it is made of.
download: ESC-50 itself, fetched, checked and unpacked.
transfer: url -> file, over https, within limits of size and time.
archives: zip archives, checked before they are unpacked.
conditions: a fold -> mixtures of known sources, or clips with annotations.
pipelines: the splits -> data sets that a Brain can load.
"""
