# 20,000 small tasks through a pool of two processes, 1 at once.
import json
import multiprocessing
import sys
import time


def square(x):
    return x * x


if __name__ == "__main__":
    n = 20000
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(square, range(100), chunksize=1)
        t = time.perf_counter()
        results = pool.map(square, range(n), chunksize=1)
        s = time.perf_counter() - t
    if len(results) != n or results[-1] != (n - 1) ** 2:
        sys.exit("wrong results")
    print(json.dumps({"workload": "process_pool_1", "n": n, "seconds": s}))
