"""`recipes -> the paper's table and figures`, and what goes beyond them.

plan     which steps there are, and taking those that are missing
wanted   reproduce.yaml -> which folds, systems, conditions
launch   name of a recipe -> process
tables   comparisons of several folds and systems -> tables
seeds    several seeds in turn -> one table
figures  what the steps left -> figures
page     the same -> report.html, with the way to the steps' own pages
"""

from focalaudio.models.load import list_one
from focalaudio.reproduction.launch import lead_or_follow
from focalaudio.reproduction.plan import Plan, choose_folder, reproduce
from focalaudio.reproduction.seeds import reproduce_seeds
from focalaudio.reproduction.wanted import PLAN_KEYS

__all__ = [
    "PLAN_KEYS",
    "Plan",
    "choose_folder",
    "lead_or_follow",
    "list_one",
    "reproduce",
    "reproduce_seeds",
]
