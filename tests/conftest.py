"""One thread each: the machine is shared, and results must not hang on how many there are."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
