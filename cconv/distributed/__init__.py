"""Many processes: training on the ranks of an MPI job, prediction and searches on a cluster of workers.

Nothing here is loaded with cconv: each function imports the package that it needs when it is called.
"""

from cconv.distributed.mpi import MPI
from cconv.distributed.predicting import predict
from cconv.distributed.searching import search, workers

__all__ = ["MPI", "predict", "search", "workers"]
