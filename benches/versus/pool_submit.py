# Hand tasks to a pool of two threads one by one, then ask each for its result.
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def f(x):
    return x


n = 20_000
with ThreadPoolExecutor(2) as pool:
    warm = sum(pool.map(f, range(100)))
    t = time.perf_counter()
    futures = [pool.submit(f, i) for i in range(n)]
    total = sum(future.result() for future in futures)
    s = time.perf_counter() - t
if warm != 4950 or total != n * (n - 1) // 2:
    sys.exit(f"the sums are {warm} and {total}")
print(json.dumps({"workload": "pool_submit", "n": n, "seconds": s}))
