"""The same job in one process, in this machine's own workers, and over Beam's portable interface: are the parts the same?"""
