"""A second, obvious implementation of the contract (contract 3-7), to compare the pipeline's results with.

Standard library only, and nothing shared with the pipeline: two independent readings of one text that agree
row by row are worth more than one.  `compute` reads a landing folder and returns what must come out of it.
"""

from .compute import Result, compute
from .landing import ContractError
from .params import Params

__all__ = ["ContractError", "Params", "Result", "compute"]
