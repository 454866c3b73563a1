"""What can this machine do, what is wrong with it, and which command mends that?

`gather` looks; `diagnose` judges, and touches nothing: any machine can be described as `Facts` and judged anywhere.
"""

from onepass.doctor._diagnose import Finding, Level, diagnose
from onepass.doctor._facts import Driver, Facts, FlavorFacts, Gpu
from onepass.doctor._gather import gather

__all__ = ["Driver", "Facts", "Finding", "FlavorFacts", "Gpu", "Level", "diagnose", "gather"]
