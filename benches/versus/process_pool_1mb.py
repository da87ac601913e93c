# 200 times a megabyte to a pool of two processes and back.
import json
import multiprocessing
import sys
import time


def back(data):
    return data


if __name__ == "__main__":
    n = 200
    payload = bytes([7]) * 1_000_000
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(back, range(100), chunksize=1)
        t = time.perf_counter()
        results = pool.map(back, [payload] * n, chunksize=1)
        s = time.perf_counter() - t
    if any(len(data) != 1_000_000 for data in results):
        sys.exit("wrong results")
    print(json.dumps({"workload": "process_pool_1mb", "n": n, "seconds": s}))
