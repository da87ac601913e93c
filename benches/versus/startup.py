# An empty program: the runner measures the whole process from outside.
