# Two processes increment one number in shared memory; the sum is checked.
import json
import multiprocessing
import sys
import time


def increment(number, n):
    for _ in range(n):
        with number.get_lock():
            number.value += 1


n = 400_000
context = multiprocessing.get_context("fork")
number = context.Value("q", 0)
t = time.perf_counter()
processes = [context.Process(target=increment, args=(number, n // 2)) for _ in range(2)]
for process in processes:
    process.start()
for process in processes:
    process.join()
s = time.perf_counter() - t
if number.value != n:
    sys.exit(f"the sum is {number.value}")
print(json.dumps({"workload": "shared_add", "n": n, "seconds": s}))
