"""The commands of `focalaudio`, one module each; thin: the work is elsewhere.

explain     sounds of one's own -> what a model heard in them
publishing  a run or published checkpoints -> a bundle
checkup     what is wrong with an installation, and the way out
"""
