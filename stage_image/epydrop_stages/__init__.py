"""What runs inside a task: the builder, the runner and the output stage."""

import os

# pandas imports pyarrow, whose allocator starts a thread unless told otherwise; a process that forks needs only one.
os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
