"""The same job in one process, in workers of its own and over Beam's portable interface: are the parts the same?"""
