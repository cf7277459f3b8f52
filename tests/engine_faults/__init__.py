"""Faults that strike jobs on clusters of Flink and Spark."""
