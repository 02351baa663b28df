"""Tables as csv.gz and Parquet: the same bytes for the same rows, whatever the number of workers.

Workers turn the rows of their point into *blocks* on disk: a whole gzip member of CSV, and an Arrow stream. The stage
strings the blocks together in the order of the tasks. It holds a row group at a time, and the costly part, printing
and compressing numbers, is done by the workers. Members of gzip may follow each other in one file (RFC 1952, 2.2; BGZF
has done so for years), and where one ends depends on the points alone.
"""
