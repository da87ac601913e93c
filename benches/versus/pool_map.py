# Map a function over a range with a pool of two threads.
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def f(x):
    return x


n = 100_000
with ThreadPoolExecutor(2) as pool:
    warm = sum(pool.map(f, range(100)))
    t = time.perf_counter()
    total = sum(pool.map(f, range(n)))
    s = time.perf_counter() - t
if warm != 4950 or total != n * (n - 1) // 2:
    sys.exit(f"the sums are {warm} and {total}")
print(json.dumps({"workload": "pool_map", "n": n, "seconds": s}))
