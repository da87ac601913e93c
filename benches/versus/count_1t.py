# The counting loop on the main thread.
import json
import sys
import time


def count(n):
    v = 0
    for _ in range(n):
        v += 1
    return v


n = 20_000_000
t = time.perf_counter()
v = count(n)
s = time.perf_counter() - t
if v != n:
    sys.exit(f"counted {v}")
print(json.dumps({"workload": "count_1t", "n": n, "seconds": s}))
