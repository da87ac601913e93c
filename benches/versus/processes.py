# 200 processes by fork, started and joined one after the other.
import json
import multiprocessing
import time


def nothing():
    pass


if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    n = 200
    t = time.perf_counter()
    for _ in range(n):
        process = context.Process(target=nothing)
        process.start()
        process.join()
    s = time.perf_counter() - t
    print(json.dumps({"workload": "processes", "n": n, "seconds": s}))
