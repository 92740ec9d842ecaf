"""`recipes -> the paper's table and figures`, and what goes beyond them.

plan     which steps there are, and taking those that are missing
launch   name of a recipe -> process
tables   comparisons of several folds and systems -> tables
figures  what the steps left -> figures
"""

from focalaudio.reproduction.plan import Plan, reproduce

__all__ = ["Plan", "reproduce"]
