"""The code that runs inside a task: the builder, the runner and the output stage."""

import os

# pandas imports pyarrow, whose allocator (jemalloc) starts a background thread by default. A process that forks must
# have one thread only: a lock held by another one stays locked in the child.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
