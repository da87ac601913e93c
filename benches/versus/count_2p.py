# The counting loop, half of it in each of two processes.
import json
import multiprocessing
import sys
import time


def count(n):
    v = 0
    for _ in range(n):
        v += 1
    return v


if __name__ == "__main__":
    n = 20_000_000
    t = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        v = sum(pool.map(count, [n // 2, n // 2]))
    s = time.perf_counter() - t
    if v != n:
        sys.exit(f"counted {v}")
    print(json.dumps({"workload": "count_2p", "n": n, "seconds": s}))
