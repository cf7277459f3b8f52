"""Whether every engine gives the parts that one process gives, on one machine and on a cluster, here and in a store."""
