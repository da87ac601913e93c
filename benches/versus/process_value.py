# A process adds one to a value of the main one, under its lock, as the article does, with nobody else who wants either.
import json
import multiprocessing
import time

n = 100_000


def work(value, count):
    for _ in range(count):
        with value.get_lock():
            value.value += 1


context = multiprocessing.get_context("fork")
value = context.Value("q", 0)
t = time.perf_counter()
process = context.Process(target=work, args=(value, n))
process.start()
process.join()
s = time.perf_counter() - t
if value.value != n:
    raise SystemExit(f"the value is {value.value}")
print(json.dumps({"workload": "process_value", "n": n, "seconds": s}))
