"""Tables as csv.gz and Parquet: the same bytes for the same rows, whatever the number of workers.

One module for each table says what its columns and rows are; ``registry`` lists them. A worker writes the rows of its
point as *blocks*: one gzip member of CSV, and an Arrow stream. The output stage concatenates the blocks in the order
of the tasks and holds one row group at a time, so the expensive part, formatting and compressing numbers, runs in the
workers. Gzip members may follow each other in a file (RFC 1952, section 2.2), as in BGZF; where one ends depends on
the points alone.
"""
