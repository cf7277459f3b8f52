"""Measurements that README and docs quote: each is one command, and prints what it found as a table and as JSON."""
