"""Folders of sounds, and the way from them to batches.

folders      any folder of sounds -> data sets; the front door
layouts      class folders, labels in file names, UrbanSound8K -> listed clips
manifests    a table of clips -> listed clips
patterns     a file's name -> what it says
tables       a CSV of any make -> rows of text
several      cells of a table -> the labels of each clip, however many
labels       text -> class ids, and what cannot be a label
folds        made where there are none, written down, read again
made         clips without folds -> folds, or how many there could be
splits       which folds train, validate and test, and what may not be
problems     all that is wrong, in one error
esc50        a folder in ESC-50's layout -> checked metadata, split by fold
annotations  what a person marked in a clip, Raven's or Audacity's tables
synthetic    the default data set, synthesized by code, its events known
voices       the ten classes of sounds and the backgrounds it is made of
examples     real recordings that come with the package
download     ESC-50 itself, fetched, checked and unpacked
transfer     url -> file, over https, within limits of size and time
archives     zip archives, checked before they are unpacked
conditions   a fold -> mixtures of known sources, or clips with annotations
pipelines    the splits -> data sets that a Brain can load
"""
